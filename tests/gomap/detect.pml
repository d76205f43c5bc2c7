/*
 * How two writers take one map (take.c, gomap_inline.h), for spin: the owner by plain stores, which
 * wait in its store buffer, the other by compare-and-swap and revocation. Never are both inside; and
 * whoever is refused had really met the other inside its call.
 *
 * -DWEAK_n takes a step away: 1 the barrier in the owner's processor, 2 the owner's look at bias
 * after its store, 3 the other's look at turn. The model must hold without and fail with each.
 */
bool revoked, writer_busy;
bool turn;	 /* odd, as other processors see it */
bool turn_buffer; /* the owner's store of an odd turn is on its way */
byte inside;
bool owner_calls, other_calls; /* from the first to the last step of a call */

/* met: the one who could be in the way is inside a call of his. */
inline by_writer(result, met)
{
	if
	:: atomic { !writer_busy -> writer_busy = true }; result = true
	:: atomic { writer_busy -> assert(met) }; result = false
	fi
}

proctype Owner()
{
	bool got;
	byte times;
	do
	:: times == 2 -> break
	:: else ->
		times++;
		owner_calls = true;
		got = false;
		if
		:: !revoked ->
			turn_buffer = true;
#ifndef WEAK_2
			if
			:: !revoked -> got = true
			:: else -> atomic { turn_buffer = false; turn = false }
			fi;
#else
			got = true;
#endif
			if
			:: got ->
				inside++;
				assert(inside == 1);
				inside--;
				/* the stores leave the buffer in order: odd, then even */
				atomic { turn_buffer = false; turn = false }
			:: else
			fi
		:: else
		fi;
		if
		:: !got ->
			by_writer(got, other_calls);
			if
			:: got -> inside++; assert(inside == 1); inside--; writer_busy = false
			:: else
			fi
		:: else
		fi;
		owner_calls = false
	od
}

proctype Other()
{
	bool got;
	byte times;
	do
	:: times == 2 -> break
	:: else ->
		times++;
		other_calls = true;
		by_writer(got, owner_calls);
		if
		:: got ->
			if
			:: !revoked ->
				revoked = true;
#ifndef WEAK_1
				atomic { if :: turn_buffer -> turn_buffer = false; turn = true :: else fi }
#endif
			:: else
			fi;
#ifndef WEAK_3
			if
			:: atomic { turn -> assert(owner_calls) }; writer_busy = false; got = false
			:: else
			fi;
#endif
			if
			:: got -> inside++; assert(inside == 1); inside--; writer_busy = false
			:: else
			fi
		:: else
		fi;
		other_calls = false
	od
}

active proctype Drain()
{
end:
	do
	:: atomic { turn_buffer -> turn_buffer = false; turn = true }
	od
}

init
{
	atomic { run Owner(); run Other() }
}
