//! The page in a real browser, where one is installed: it says nothing in its console and asks nothing of any network.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says what it left out")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Nothing that the browser does of its own accord leaves the machine.
const ARGUMENTS: [&str; 10] = [
    "60",
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr",
    "--dump-dom",
];

/// What the browser makes of a page.
struct Seen {
    dom: String,
    console: Vec<String>,
    requests: usize,
}

/// A browser that starts; some systems have but a stub of that name.
fn browser() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&folders).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    places.find(|place| {
        let started = Command::new("timeout").arg("60").arg(place).arg("--version").output();
        place.is_file() && started.is_ok_and(|output| output.status.success())
    })
}

fn see(browser: &Path, name: &str, page: &str) -> Seen {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("browser-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("report.html");
    fs::write(&file, page).unwrap();
    let mut command = Command::new("timeout");
    command.arg(ARGUMENTS[0]).arg(browser).args(&ARGUMENTS[1..]);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    command.arg(format!("--log-net-log={}", folder.join("net.json").display()));
    let output = command.arg(format!("file://{}", file.display())).env("HOME", &folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", browser.display());
    let log = fs::read_to_string(folder.join("net.json")).unwrap();
    // The browser's own requests have no origin.
    let requests = log.matches("\"initiator\":").count() - log.matches("\"initiator\":\"not an origin\"").count();
    fs::remove_dir_all(&folder).unwrap();
    let console = said.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    Seen { dom: String::from_utf8_lossy(&output.stdout).into_owned(), console, requests }
}

#[test]
fn a_browser_shows_the_page_and_has_nothing_to_say() {
    let Some(browser) = browser() else {
        eprintln!("skipped: none of {} is installed and starts", NAMES.join(", "));
        return;
    };
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/report.html")).unwrap();
    let image = page.replace("<main>", "<main><img src=\"https://eastwest.invalid/x.png\">");
    let policy = page.lines().find(|line| line.contains("Content-Security-Policy")).unwrap();
    let open = image.replace(policy, "");
    let script = page.replace("<main>", "<main><script>document.title = 'run'</script>");
    // A row: a page, how many lines its console has, and how many requests it makes. The near misses show that a fetch and a
    // script would be seen, and that the page's own policy refuses both.
    let rows = [("own", &page, 0, 0), ("image", &image, 1, 0), ("open", &open, 0, 1), ("script", &script, 1, 0)];
    for (name, page, lines, requests) in rows {
        let seen = see(&browser, name, page);
        assert_eq!((seen.console.len(), seen.requests), (lines, requests), "{name}: {:?}", seen.console);
        assert!(seen.dom.contains("<title>eastwest: 1 scenario: 0 passed, 1 failed"), "{name}: {:.400}", seen.dom);
        assert!(seen.dom.contains("</svg>") && seen.dom.contains("id=\"signs\""), "{name} is shown to its end");
    }
}
