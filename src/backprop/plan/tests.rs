use super::*;

/// The fewest runs without tape, by trying everything: `table[slots][n]`.
fn brute_force(most: usize, slots: usize) -> Vec<Vec<usize>> {
    let mut table = vec![vec![0; most + 1]; slots + 1];
    for n in 2..=most {
        table[0][n] = n * (n - 1) / 2;
        for c in 1..=slots {
            let cost = |m: usize| m + table[c - 1][n - m] + table[c][m];
            table[c][n] = (1..n).map(cost).min().unwrap().min(table[0][n]);
        }
    }
    table
}

/// What a run by the plan does, in the way of the engine's: steps run without tape, most states at once, whether every segment
/// was undone in order.
fn simulate(plan: Plan) -> (usize, usize) {
    let n = plan.segments();
    let (mut kept, mut most, mut untaped, mut end) = (vec![0], 0, 0, n);
    let mut undone = plan.steps();
    while end > 0 {
        let mut at = *kept.last().unwrap();
        loop {
            let (len, free) = (end - at, plan.slots() + 1 - kept.len());
            let to = match (len, free) {
                (1, _) => break,
                (_, 0) => end - 1,
                _ => at + split(len, free),
            };
            untaped += (at..to).map(|segment| plan.range(segment).len()).sum::<usize>();
            at = to;
            if to == end - 1 {
                break;
            }
            kept.push(to);
        }
        most = most.max(kept.len() + 1);
        assert_eq!(at, end - 1, "the segment to undo is the one run last");
        assert_eq!(plan.range(at).end, undone);
        assert!((1..=plan.segment()).contains(&plan.range(at).len()), "{plan:?}: segment {at}");
        undone = plan.range(at).start;
        end -= 1;
        while end > 0 && *kept.last().unwrap() >= end {
            kept.pop();
        }
    }
    assert_eq!(undone, 0);
    (untaped, if n > 1 { most } else { 0 })
}

#[test]
fn the_schedule_is_the_best_there_is() {
    let best = brute_force(80, 9);
    for (slots, row) in best.iter().enumerate() {
        for (n, &best) in row.iter().enumerate().skip(1) {
            assert_eq!(runs(n, slots), best, "{n} segments, {slots} slots");
            let plan = Plan { steps: 3 * n, segment: 3, slots };
            let (untaped, states) = simulate(plan);
            assert_eq!((untaped, plan.repeated()), (3 * best, 3 * best), "{n} segments, {slots} slots");
            assert!(states <= plan.states());
        }
    }
}

#[test]
fn a_plan_keeps_within_the_room_and_more_room_is_never_slower() {
    for (state, per_step, own) in [(7, 10, 50), (100, 10, 0), (1, 1000, 3), (0, 5, 5)] {
        let segment = |steps: usize| own + per_step * steps;
        for steps in [1, 2, 3, 7, 64, 97, 300] {
            let smallest = match Plan::fit(steps, usize::MAX, 0, state, &segment) {
                Ok(plan) => panic!("no room, and yet {plan:?}"),
                Err(smallest) => smallest,
            };
            assert_eq!(smallest, segment(steps).min(segment(1) + 2 * state));
            assert_eq!(Plan::fit(steps, usize::MAX, smallest - 1, state, &segment), Err(smallest));
            let mut before = usize::MAX;
            for room in (smallest..=segment(steps)).step_by(1 + segment(steps) / 97).chain([segment(steps)]) {
                let plan = Plan::fit(steps, usize::MAX, room, state, &segment).unwrap();
                let (untaped, states) = simulate(plan);
                assert_eq!(untaped, plan.repeated(), "{plan:?}");
                assert!(segment(plan.segment()) + states * state <= room, "{plan:?} in {room}");
                assert!(untaped <= before, "{plan:?} in {room}: {untaped} steps again, {before} with less room");
                before = untaped;
            }
            assert_eq!(Plan::fit(steps, usize::MAX, segment(steps), state, &segment), Ok(Plan::whole(steps)));
            assert_eq!(before, 0);
        }
    }
}

#[test]
fn room_for_nearly_all_repeats_the_little_that_is_missing() {
    let plan = Plan::fit(1000, usize::MAX, 999, 1, &|steps| steps).unwrap();
    assert_eq!((plan.segments(), plan.repeated()), (2, 3));
    // Room for a segment of a tenth and all the states: once again all but the last segment.
    let plan = Plan::fit(1000, usize::MAX, 110, 1, &|steps| steps).unwrap();
    assert_eq!((plan.segments(), plan.repeated()), (10, 900));
}

#[test]
fn a_shorter_window_takes_no_more() {
    let plan = Plan::fit(1000, usize::MAX, 60, 1, &|steps| steps).unwrap();
    for steps in [1, 2, 19, 500, 999, 1000] {
        let short = plan.shorter(steps);
        assert!(short.segment() <= plan.segment() && short.slots() <= plan.slots());
        let (untaped, states) = simulate(short);
        assert_eq!((short.steps(), untaped), (steps, short.repeated()));
        assert!(states <= plan.states());
    }
    assert_eq!(plan.shorter(1000), plan);
}

/// Of a window of several blocks segments are powers of two, within the room, and of those none has fewer repeated steps.
#[test]
fn segments_of_many_blocks_are_powers_of_two() {
    let (steps, block, state) = (1000, 64, 5);
    let segment = |steps: usize| 7 + 3 * steps;
    let need = |plan: Plan| segment(plan.segment()) + state * plan.states();
    let smallest = Plan::fit(steps, block, 0, state, &segment).unwrap_err();
    assert_eq!(smallest, segment(1) + 2 * state);
    for room in (smallest..segment(steps)).step_by(13) {
        let plan = Plan::fit(steps, block, room, state, &segment).unwrap();
        assert!(plan.segment().is_power_of_two() && need(plan) <= room, "{room}: {plan:?}");
        for long in (0..10).map(|power| 1 << power) {
            let slots =
                (0..steps.div_ceil(long) - 1).filter(|slots| segment(long) + state * (slots + STANDING) <= room).max();
            let other = slots.map(|slots| Plan { steps, segment: long, slots });
            assert!(other.is_none_or(|other| plan.repeated() <= other.repeated()), "{room}: {plan:?}, {other:?}");
        }
        assert_eq!(simulate(plan).0, plan.repeated());
    }
    assert_eq!(Plan::fit(steps, block, segment(steps), state, &segment), Ok(Plan::whole(steps)));
}
