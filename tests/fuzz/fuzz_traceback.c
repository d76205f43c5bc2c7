/* Logs with tracebacks: any bytes must give a verdict or an error, and no proof with one side. */
#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "verdict/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log_options options = {0};
	struct log_verdict log;
	struct notes notes = NOTES_INIT;
	struct error err;
	AUTO_FD int fd = memfd_create("log", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
		return 0;
	if (log_judge(fd, &options, &notes, &log, &err) == OK) {
		const struct verdict *v = &log.verdict;
		assert(log.count && log.number && log.number <= log.count + log.dropped);
		if (v->grade == GRADE_PROVEN) {
			assert(v->has_detector && v->has_other);
			assert(v->detector.goroutine != v->other.goroutine);
			assert(v->map.known && operation_writes(v->other.operation));
		}
		log_verdict_done(&log);
	}
	notes_done(&notes);
	return 0;
}
