/*
 * The states of a bucket of gomap_shared, for spin. The prose is in lib/gomap/shared.c, and so are
 * the numbers of the barriers. -DWEAK_n takes barrier n away, which is to say: the two accesses that
 * it keeps apart may happen in the other order (n with an r: on the reader's side). The model must
 * hold without, and must fail with each: tests/gomap/model-check.
 *
 * One key in bucket 0 of an array of two that is replaced by a larger one, while a writer stores 1
 * and then 2, two readers read once each, and a helper evacuates too. Said of each read: it finds
 * nothing less than what was complete when it began, nothing less than what any read returned that
 * had ended by then, no slot without its element, and no memory that was freed.
 */
#define DIRTY 0
#define LOCKED 1
#define OLDBUCKET 2
#define EVACUATED 3
#define READERS 2
#define READS 1

byte state[2];		       /* of the old array's buckets */
byte o_top, o_elem;	       /* the key's slot in old bucket 0 */
byte n_top, n_elem;	       /* ... in the new array */
bool n_made, n_locked;
bool table_new, old_set;       /* map->table is the new array; its old pointer */
byte evacuated;
bool freed;		       /* the old array */
bool inside[READERS], coming[READERS]; /* coming: the store waits in the reader's store
					    * buffer, until a barrier or for good */

byte complete, returned;       /* what the last complete put stored; the most any read returned */

#ifdef WEAK_1
#define PUBLISH(top, elem, v) top = 1; elem = v
#else
#define PUBLISH(top, elem, v) elem = v; top = 1
#endif

inline copy_0()
{
	if
	:: o_top -> byte e; e = o_elem; PUBLISH(n_top, n_elem, e)
	:: else
	fi
}

/* Takes bucket b through. The last one ends growth and frees the old array after a grace period. */
inline evacuate(b)
{
	do
	:: atomic { state[b] == DIRTY -> state[b] = OLDBUCKET };
#ifdef WEAK_2
	   state[b] = EVACUATED;
	   if :: b == 0 -> copy_0() :: else fi;
	   count()
#else
#ifdef WEAK_5
	   count();
	   if :: b == 0 -> copy_0() :: else fi;
	   state[b] = EVACUATED
#else
	   if :: b == 0 -> copy_0() :: else fi;
	   state[b] = EVACUATED;
	   count()
#endif
#endif
	   ; break
	:: state[b] == EVACUATED -> break
	od
}

inline count()
{
	bool last;
	atomic { evacuated++; last = (evacuated == 2) };
	if
	:: last -> old_set = false; reclaim()
	:: else
	fi
}

/* Each reader must be seen outside once, after the barrier. */
inline reclaim()
{
#ifndef WEAK_6
	atomic { /* membarrier: what is in a store buffer becomes visible */
		if :: coming[0] -> coming[0] = false; inside[0] = true :: else fi;
		if :: coming[1] -> coming[1] = false; inside[1] = true :: else fi
	};
#endif
	!inside[0];
	!inside[1];
	freed = true
}

active proctype Grower()
{
#ifdef WEAK_4
	table_new = true;
	old_set = true;
#else
	old_set = true;
	table_new = true;
#endif
	evacuate(1)
}

active proctype Helper()
{
	table_new;
	if
	:: old_set -> evacuate(0)
	:: else
	fi
}

inline put(v)
{
	done = false;
	do
	:: done -> break
	:: else ->
		if
		:: table_new ->
			if
			:: old_set -> evacuate(0)
			:: else
			fi;
			n_elem = v;
			n_top = 1;
			done = true
		:: else ->
			/* lock, unless the bucket is being outgrown */
			if
			:: atomic { state[0] == DIRTY -> state[0] = LOCKED };
#ifdef WEAK_3
			   state[0] = DIRTY;
			   PUBLISH(o_top, o_elem, v)
#else
			   PUBLISH(o_top, o_elem, v);
			   state[0] = DIRTY
#endif
			   ; done = true
			:: state[0] == OLDBUCKET || state[0] == EVACUATED -> table_new
			fi
		fi
	od;
	complete = v
}

active proctype Writer()
{
	bool done;
	put(1);
	put(2)
}

/* top before elem, unless the reader's half of barrier 1 is gone. */
inline look(top, elem)
{
#ifdef WEAK_1r
	r = elem;
	found = top
#else
	found = top;
	r = elem
#endif
}

active [READERS] proctype Reader()
{
	byte me = _pid - 3, times, floor, r, early_r;
	bool found, early_found, on_old;
	do
	:: times == READS -> break
	:: else ->
		times++;
		d_step { floor = (complete > returned -> complete : returned) };
		coming[me] = true;
		on_old = false;
		if
		:: !table_new -> on_old = true
		:: else ->
#ifdef WEAK_2r
			early_r = n_elem;
			early_found = n_top;
#endif
			if
			:: old_set ->
				assert(!freed);
				if
				:: state[0] != EVACUATED -> on_old = true
				:: else
				fi
			:: else
			fi
		fi;
		if
		:: on_old ->
			look(o_top, o_elem);
			assert(!freed)
		:: else ->
#ifdef WEAK_2r
			r = early_r;
			found = early_found
#else
			look(n_top, n_elem)
#endif
		fi;
		if
		:: found -> assert(r > 0)
		:: else -> r = 0
		fi;
		assert(r >= floor);
		d_step {
			if :: r > returned -> returned = r :: else fi;
			coming[me] = false;
			inside[me] = false
		}
	od
}
