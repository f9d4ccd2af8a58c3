//! A shuffle that the same seed repeats, on every machine and in every version.

/// Puts the items into an order that depends on the seed alone.
pub(crate) fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..items.len()).rev() {
        let choices = last as u64 + 1;
        let chosen = usize::try_from(next(&mut state) % choices)
            .expect("it is at most `last`, which is a usize");
        items.swap(last, chosen);
    }
}

/// SplitMix64: good enough for an order, and short.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shuffled(seed: u64) -> Vec<u32> {
        let mut items: Vec<u32> = (0..100).collect();
        shuffle(&mut items, seed);
        items
    }

    #[test]
    fn a_seed_gives_one_order() {
        assert_eq!(shuffled(7), shuffled(7));
        assert_ne!(shuffled(7), shuffled(8));
    }

    #[test]
    fn nothing_is_lost_and_the_order_changes() {
        let mut items = shuffled(1);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_and_one_thing_stay_as_they_are() {
        shuffle::<u8>(&mut [], 1);
        let mut one = [5];
        shuffle(&mut one, 1);
        assert_eq!(one, [5]);
    }
}
