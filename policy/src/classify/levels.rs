//! A sorted row of numbers in levels, each holding every sixteenth number of the one below: a look-up reads one line of memory
//! a level and has no branch that depends on what it finds.

/// How many numbers stand together.
const WIDTH: usize = 16;

/// A row of numbers, sorted, that begins with the least there is.
#[derive(Clone, Debug)]
pub(crate) struct Levels<K> {
    /// From the shortest to the whole row.
    levels: Vec<Level<K>>,
}

#[derive(Clone, Debug)]
struct Level<K> {
    /// The last is filled up with its own last number.
    nodes: Vec<[K; WIDTH]>,
    /// The place of its last number.
    last: usize,
}

impl<K: Copy + Ord> Levels<K> {
    /// The levels of a row.
    pub(crate) fn of(row: &[K]) -> Self {
        let mut levels = vec![Level::of(row)];
        let mut above: Vec<K> = row.iter().step_by(WIDTH).copied().collect();
        while above.len() > 1 {
            levels.push(Level::of(&above));
            above = above.iter().step_by(WIDTH).copied().collect();
        }
        levels.reverse();
        Self { levels }
    }

    /// The place of the last number that is not above another; 0 if all are.
    #[inline]
    pub(crate) fn place(&self, number: K) -> usize {
        self.levels.iter().fold(0, |node, level| level.place(node, number))
    }
}

impl<K: Copy + Ord> Level<K> {
    fn of(row: &[K]) -> Self {
        let node = |part: &[K]| std::array::from_fn(|at| part[at.min(part.len() - 1)]);
        Self { nodes: row.chunks(WIDTH).map(node).collect(), last: row.len().saturating_sub(1) }
    }

    #[inline]
    fn place(&self, node: usize, number: K) -> usize {
        let numbers = &self.nodes[node];
        let below: u32 = numbers.iter().map(|&at| u32::from(at <= number)).sum();
        (node * WIDTH + below.saturating_sub(1) as usize).min(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::Levels;

    #[test]
    fn a_place_is_what_a_search_through_the_row_finds() {
        for length in [1, 2, 15, 16, 17, 255, 256, 257, 5000] {
            let row: Vec<u32> =
                (0..length).map(|at| if at == length - 1 && at > 0 { u32::MAX } else { at * 3 }).collect();
            let levels = Levels::of(&row);
            for number in (0..length * 3 + 3).chain([u32::MAX - 1, u32::MAX]) {
                let after = row.partition_point(|&at| at <= number);
                assert_eq!(levels.place(number), after.saturating_sub(1), "{number} in {length}");
            }
        }
    }
}
