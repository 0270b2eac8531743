//! Parts of a suite, so that several machines share it: each scenario is in the same part wherever the suite runs, and in one alone.

use std::str::FromStr;

/// One of so many parts, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    part: u32,
    of: u32,
}

impl Partition {
    /// Whether a scenario, known by its file and its name, belongs to it.
    pub(crate) fn holds(self, file: &str, name: &str) -> bool {
        let bytes = file.bytes().chain([0]).chain(name.bytes());
        // FNV-1a: the same in every build.
        let hash = bytes
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        // The high bits are the better mixed ones.
        (hash >> 32) % u64::from(self.of) + 1 == u64::from(self.part)
    }
}

impl FromStr for Partition {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.strip_prefix("hash:").and_then(|rest| rest.split_once('/'));
        let numbers = numbers.and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        let found = numbers.map(|(part, of)| Self { part, of }).filter(|one| (1..=one.of).contains(&one.part));
        found.ok_or("a part such as `hash:1/4`: the first of four")
    }
}

#[cfg(test)]
mod tests {
    use super::Partition;

    #[test]
    fn a_part_is_a_number_and_of_how_many() {
        let good = [("hash:1/1", (1, 1)), ("hash:4/4", (4, 4)), ("hash:2/300", (2, 300))];
        for (text, (part, of)) in good {
            assert_eq!(text.parse(), Ok(Partition { part, of }), "{text}");
        }
        for text in ["", "1/4", "hash:0/4", "hash:5/4", "hash:1/0", "hash:1", "hash:a/b", "count:1/4", "hash:-1/4"] {
            assert!(text.parse::<Partition>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_scenario_is_in_one_part_and_parts_are_of_like_size() {
        let mut sizes = [0_usize; 4];
        for number in 0..1000 {
            let (file, name) = (format!("suite/{number:02}.yaml"), format!("scenario {number}"));
            let of = |part| Partition { part, of: 4 };
            let parts: Vec<u32> = (1..=4).filter(|part| of(*part).holds(&file, &name)).collect();
            assert_eq!(parts.len(), 1, "{file} is in {parts:?}");
            sizes[parts[0] as usize - 1] += 1;
        }
        assert!(sizes.iter().all(|size| (200..=300).contains(size)), "{sizes:?}");
    }
}
