//! Chance that falls the same way each time.

use civic::{Set, Term};

/// Numbers that look like chance, and follow from a seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another one.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap();
        usize::try_from(self.roll() % end).unwrap()
    }

    /// The same for days and minutes.
    pub(crate) fn few(&mut self, end: usize) -> i64 {
        i64::try_from(self.below(end)).unwrap()
    }

    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Some words of a list, often none.
    pub(crate) fn words<E: Term>(&mut self) -> Set<E> {
        let words = E::ALL.iter().copied();
        words.filter(|_| self.one_in(4)).collect()
    }

    pub(crate) fn digits(&mut self, many: usize) -> String {
        let digits = (0..many).map(|_| char::from(b"0123456789"[self.below(10)]));
        digits.collect()
    }
}
