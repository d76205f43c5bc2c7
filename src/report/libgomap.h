/*
 * A map of libgomap to its keys and values.
 */
#ifndef REPORT_LIBGOMAP_H
#define REPORT_LIBGOMAP_H

#include "maps/libgomap.h"
#include "report/page.h"

/* The map's header, who writes it, and its entries, at most limit of them (0: all). False where
 * entries could not be reached or read (noted). */
bool libgomap_text(struct page *page, const struct libgomap *m, uint64_t limit);

#endif
