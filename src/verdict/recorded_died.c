/*
 * How the lines of the recorder's table stand to the death of a goroutine in a map's code.
 */
#include "verdict/recorded.h"

const struct record *recorded_broken_off(const struct records *records)
{
	const struct records_header *h = &records->header;
	for (size_t i = 0; i < records->count; i++) {
		const struct record *own = &records->list[i];
		if (own->g == h->detector_g)
			return own->goid == h->detector_goid && own->state == RECORD_IN_FLIGHT &&
					       own->set <= h->died_at &&
					       h->died_at - own->set < RECORDED_STALE_TICKS
				       ? own
				       : NULL;
	}
	return NULL;
}

/* When the write was over; UINT64_MAX: it was in flight as the table froze. One that faulted was broken off then,
 * and its line stays in flight. */
static uint64_t end_of(const struct records *records, const struct record *record)
{
	if (record->state == RECORD_DONE)
		return record->clear;
	for (size_t i = 0; i < 1 << RECORD_FAULT_BITS; i++) {
		const struct record_fault *fault = &records->header.faults[i];
		if (fault->g == record->g && fault->at >= record->set)
			return fault->at;
	}
	return UINT64_MAX;
}

bool recorded_judge_death(const struct records *records, const struct record *own,
			  const struct record *record, struct recorded *ret)
{
	uint64_t died = records->header.died_at, end = end_of(records, record);
	*ret = (struct recorded){.record = record, .how = RECORDED_JUST_AFTER};
	if (record->state == RECORD_TORN)
		return false;
	/* when it began is not known: it may have been after the death */
	if (!(records->header.flags & RECORDS_TIMES))
		return record->state == RECORD_IN_FLIGHT;
	/* a beginning may have been later than it says */
	if (record->set + RECORDED_EARLY_TICKS > died) {
		ret->age = record->set > died ? record->set - died : died - record->set;
		return ret->age < (record->state == RECORD_IN_FLIGHT ? RECORDED_STALE_TICKS
								     : RECORDED_NEAR_TICKS);
	}
	if (end >= died) {
		ret->how = RECORDED_IN_FLIGHT;
		ret->age = died - record->set;
		return ret->age < RECORDED_STALE_TICKS;
	}
	ret->age = died - end;
	ret->how = RECORDED_OVERLAPS;
	if (own && own->map == record->map && end >= own->set + RECORDED_EARLY_TICKS)
		return true;
	ret->how = RECORDED_JUST_ENDED;
	return ret->age < RECORDED_NEAR_TICKS;
}
