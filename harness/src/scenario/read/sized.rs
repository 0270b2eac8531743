//! Policies of a generated size: an entry whose first line holds ranges, such as `rule-[1..5000]`, stands once for each
//! number (semantics 41). Ranges that are written alike count together; different ones each with every other.

use std::ops::Range;

/// The most bytes that a text may grow to: more than the center takes.
const MOST: usize = 64 << 20;

/// A range in a text: where it stands, and its numbers.
struct Count {
    place: Range<usize>,
    first: u64,
    last: u64,
    step: u64,
}

/// The text in full size.
pub(super) fn expand(text: &str) -> Result<String, String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut out = String::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        if next(line)?.is_none() {
            out.push_str(line);
            at += 1;
        } else {
            let deeper = |line: &&&str| line.trim().is_empty() || depth(line) > depth(lines[at]);
            let end = at + 1 + lines[at + 1..].iter().take_while(deeper).count();
            repeat(&lines[at..end].concat(), &mut out)?;
            at = end;
        }
        if out.len() > MOST {
            return Err(too_large());
        }
    }
    Ok(out)
}

fn too_large() -> String {
    format!("this grows beyond {MOST} bytes")
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Writes an entry once for each number of its first range; what is left of ranges then is repeated in the same way.
fn repeat(entry: &str, out: &mut String) -> Result<(), String> {
    let Some(Count { place, first, last, step }) = next(entry)? else {
        out.push_str(entry);
        return Ok(());
    };
    let written = &entry[place];
    for number in (first..=last).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        repeat(&entry.replace(written, &number.to_string()), out)?;
        if out.len() > MOST {
            return Err(too_large());
        }
    }
    Ok(())
}

/// The first range. What is in brackets and holds `..` is meant for one.
fn next(text: &str) -> Result<Option<Count>, String> {
    let mut at = 0;
    while let Some(start) = text[at..].find('[').map(|found| at + found) {
        let Some(end) = text[start..].find(']').map(|found| start + found) else { return Ok(None) };
        let inside = &text[start + 1..end];
        if inside.contains("..") && !inside.contains('[') {
            let wrong =
                || format!("`[{inside}]` is no range: write `[1..50]`, or `[0..254/2]` for every second number");
            let (first, last, step) = numbers(inside).ok_or_else(wrong)?;
            return Ok(Some(Count { place: start..end + 1, first, last, step }));
        }
        at = start + 1;
    }
    Ok(None)
}

fn numbers(inside: &str) -> Option<(u64, u64, u64)> {
    let (range, step) = inside.split_once('/').unwrap_or((inside, "1"));
    let (first, last) = range.split_once("..")?;
    let (first, last, step) = (first.parse().ok()?, last.parse().ok()?, step.parse().ok()?);
    (first <= last && step > 0).then_some((first, last, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stands_once_for_each_number() {
        for (text, expected) in [
            ("a\n", Ok("a\n")),
            ("- r[1..3]\n- b\n", Ok("- r1\n- r2\n- r3\n- b\n")),
            ("- name: r[1..2]\n  allow: tcp/[1..2]\n", Ok("- name: r1\n  allow: tcp/1\n- name: r2\n  allow: tcp/2\n")),
            ("- 10.[1..2].[0..4/2]\n", Ok("- 10.1.0\n- 10.1.2\n- 10.1.4\n- 10.2.0\n- 10.2.2\n- 10.2.4\n")),
            ("g[1..2]:\n  - x\nr: [a, b]\n", Ok("g1:\n  - x\ng2:\n  - x\nr: [a, b]\n")),
            ("- [2..1]\n", Err("`[2..1]` is no range: write `[1..50]`, or `[0..254/2]` for every second number")),
            ("- [1..2/0]\n", Err("`[1..2/0]` is no range: write `[1..50]`, or `[0..254/2]` for every second number")),
            ("- aaaaaaaa[1..90000000]\n", Err("this grows beyond 67108864 bytes")),
        ] {
            assert_eq!(expand(text), expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}
