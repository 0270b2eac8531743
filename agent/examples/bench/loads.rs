//! How long rulesets take to load, and to change by one rule.
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::At;
use crate::{bare, policy, ruleset};

/// Gives a text to the program `nft` in the calling thread's namespace; how long that took, or nothing without one.
pub(crate) fn nft(text: &str) -> Option<Duration> {
    let begun = Instant::now();
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().ok()?;
    nft.stdin.take()?.write_all(text.as_bytes()).ok()?;
    nft.wait().ok()?.success().then(|| begun.elapsed())
}

fn milliseconds(times: &mut [Duration]) -> String {
    times.sort();
    times.get(times.len() / 2).map_or("–".to_owned(), |time| format!("{:.1}", time.as_secs_f64() * 1000.0))
}

/// Medians of three.
pub(crate) fn print(rules: &[u32]) {
    println!(
        "| rules | compile, ms | load, ms | one rule more, ms | a list by `nft -f`, ms | the list with one rule more, ms |\n|---|---|---|---|---|---|"
    );
    for rules in rules.iter().copied() {
        let mut times: [Vec<Duration>; 5] = Default::default();
        for _ in 0..3 {
            let begun = Instant::now();
            let first = ruleset(rules, 1);
            times[0].push(begun.elapsed());
            let second = ruleset(rules + 1, 2);
            let mut world = crate::world::World::new();
            let begun = Instant::now();
            world.kernel.apply(&first, None).unwrap();
            times[1].push(begun.elapsed());
            let begun = Instant::now();
            world.kernel.apply(&second, Some(&first)).unwrap();
            times[2].push(begun.elapsed());
            // Beyond that a list takes a minute.
            if rules <= 10_000 {
                let world = bare();
                world.enter(At::Vm);
                times[3].extend(nft(&policy::list(rules)));
                times[4].extend(nft(&format!("flush table inet written\n{}", policy::list(rules + 1))));
            }
        }
        let told = times.each_mut().map(|times| milliseconds(times));
        println!("| {rules} | {} |", told.join(" | "));
    }
    println!("\nCompiling comes before loading; a change is compiled whole, and loaded as its difference.\n");
}
