//! How long verdicts took: median, 99th hundredth, and how they are spread.

use std::time::Duration;

use super::markup::Markup;
use crate::delays::Delays;
use crate::run::Scenario;
use crate::words::count;

/// The measures of the drawing.
const BAR: usize = 54;
const HIGH: usize = 60;

pub(super) fn write(section: &mut Markup, scenario: &Scenario) {
    let cells = scenario.steps.iter().flat_map(|step| &step.cells);
    let all: Vec<Duration> =
        cells.filter(|cell| cell.settle_us > 0).map(|cell| Duration::from_micros(cell.settle_us)).collect();
    let Some(Delays { count: number, median_ms, p99_ms, most_ms }) = Delays::of(&all) else { return };
    let said = format!("{number} verdicts: median {median_ms:.2} ms, p99 {p99_ms:.2} ms, most {most_ms:.2} ms");
    section.within("details", &[("open", "")], |details| {
        details.element("summary", &[], &format!("How long verdicts took: {said}"));
        details.within("figure", &[], |figure| drawing(figure, &buckets(&all)));
    });
}

/// How many delays are within each doubling of microseconds: the bound, and the number. No bucket is left out between.
fn buckets(all: &[Duration]) -> Vec<(u128, usize)> {
    let bound = |delay: &Duration| delay.as_micros().max(1).next_power_of_two();
    let (Some(least), Some(most)) = (all.iter().map(bound).min(), all.iter().map(bound).max()) else {
        return Vec::new();
    };
    let mut buckets = Vec::new();
    let mut at = least;
    while at <= most {
        buckets.push((at, all.iter().filter(|delay| bound(delay) == at).count()));
        at = at.saturating_mul(2);
    }
    buckets
}

fn drawing(figure: &mut Markup, buckets: &[(u128, usize)]) {
    let most = buckets.iter().map(|(_, number)| *number).max().unwrap_or(1).max(1);
    let (width, height) = (buckets.len() * BAR, HIGH + 34);
    let words: Vec<String> =
        buckets.iter().map(|(bound, number)| format!("{} up to {}", count(*number, "verdict"), time(*bound))).collect();
    let label = format!("Histogram of delays: {}", words.join(", "));
    let view = format!("0 0 {width} {height}");
    let size = [width, height].map(|side| side.to_string());
    let [wide, high] = size.each_ref().map(String::as_str);
    let attributes = [("role", "img"), ("aria-label", &*label), ("viewBox", &view), ("width", wide), ("height", high)];
    figure.within("svg", &attributes, |svg| {
        for (at, (bound, number)) in buckets.iter().enumerate() {
            let tall = (number * HIGH).div_ceil(most);
            bar(svg, at * BAR, tall, (&number.to_string(), &time(*bound)));
        }
    });
    figure.constant("<figcaption>Verdicts by the time that each took; below each bar the longest time that it holds.</figcaption>\n");
}

fn bar(svg: &mut Markup, x: usize, tall: usize, (above, below): (&str, &str)) {
    let number = |number: usize| number.to_string();
    let (top, left, middle) = (14 + HIGH - tall, number(x + 4), number(x + BAR / 2));
    let (y, width, height) = (number(top), number(BAR - 8), number(tall));
    svg.open("rect", &[("class", "bar"), ("x", &left), ("y", &y), ("width", &width), ("height", &height)])
        .close("rect");
    svg.element("text", &[("x", &middle), ("y", &number(top - 3)), ("text-anchor", "middle")], above);
    svg.element("text", &[("x", &middle), ("y", &number(HIGH + 28)), ("text-anchor", "middle")], below);
}

fn time(microseconds: u128) -> String {
    match microseconds {
        0..1000 => format!("{microseconds} µs"),
        1000..1_000_000 => format!("{:.1} ms", microseconds as f64 / 1e3),
        _ => format!("{:.1} s", microseconds as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_bound_and_none_is_left_out() {
        let check = |all: &[u64], expected: &[(u128, usize)]| {
            let all: Vec<Duration> = all.iter().copied().map(Duration::from_micros).collect();
            assert_eq!(buckets(&all), expected);
        };
        check(&[], &[]);
        check(&[128], &[(128, 1)]);
        check(&[128, 129], &[(128, 1), (256, 1)]);
        check(&[1, 5, 6], &[(1, 1), (2, 0), (4, 0), (8, 2)]);
    }
}
