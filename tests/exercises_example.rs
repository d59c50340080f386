//! The example `exercises`: that its runs go on where they were stopped, and that it says what it does.

#[path = "support/example.rs"]
mod example;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use example::{folder, run};

/// Name and figures of each run that was kept: those that do not tell times.
fn kept(folder: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder.join("results.jsonl")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let figures = ["perplexity", "validation", "test", "at last", "dynamic"];
    lines
        .map(|line| (line["name"].to_string(), figures.map(|name| line["result"][name].to_string()).join(" ")))
        .collect()
}

#[cfg(unix)]
fn interrupted(child: std::process::Child, after: std::time::Duration, when: impl Fn() -> bool) -> example::Output {
    use std::process::Command;
    use std::time::{Duration, Instant};

    let start = Instant::now();
    while !when() && start.elapsed() < after {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(50));
    _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    example::ended(child.wait_with_output().unwrap())
}

#[cfg(unix)]
fn started(arguments: &[&str], folder: &Path) -> std::process::Child {
    use std::process::Stdio;

    let mut command = example::command("exercises", arguments, folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

const SMALL: [&str; 9] = ["table", "--epochs", "12", "--hidden", "24", "--seeds", "1", "--threads", "1"];

#[cfg(unix)]
#[test]
fn what_is_stopped_goes_on_with_the_same_bits() {
    use std::time::Duration;

    let folder = folder("exercises_stopped");
    let arguments = |results| [&SMALL[..], &["--results", results]].concat();
    let whole = run("exercises", &arguments("whole"), &folder);
    assert!(whole.ok && whole.stdout.contains("| LSTM, 2 layers |"), "{whole:?}");
    assert!(whole.stderr.contains("Cicero's De finibus"), "{whole:?}");
    let expected = kept(&folder.join("whole/table"));
    assert_eq!(expected.len(), 4);

    let mut stopped = 0;
    let in_parts = loop {
        // A little into a run, each time in another.
        let results = folder.join("parts/table");
        let before = kept(&results).len();
        let child = started(&arguments("parts"), &folder);
        let output = interrupted(child, Duration::from_secs(60), || before == 4 || kept(&results).len() > before);
        if output.stdout.contains("| LSTM, 2 layers |") {
            break output;
        }
        assert!(output.ok && output.stderr.contains("stopped; the same command goes on"), "{output:?}");
        stopped += 1;
    };
    assert!(stopped > 0, "it was never stopped");
    assert!(in_parts.ok, "{in_parts:?}");
    assert_eq!(kept(&folder.join("parts/table")), expected);
    // And now all are there: none is made again.
    let again = run("exercises", &arguments("parts"), &folder);
    assert!(again.ok && again.stderr.contains("4 of 4 runs in parts/table already"), "{again:?}");
    // But one whose line was cut off, by a kill in the middle of it, is.
    let results = folder.join("parts/table/results.jsonl");
    let text = fs::read_to_string(&results).unwrap();
    fs::write(&results, &text[..text.len() - 20]).unwrap();
    let mended = run("exercises", &arguments("parts"), &folder);
    assert!(mended.ok && mended.stderr.contains("3 of 4 runs in parts/table already"), "{mended:?}");
    assert_eq!(kept(&folder.join("parts/table")), expected);
    let picture = fs::read_to_string(folder.join("parts/table/table.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("</svg>"));
}

#[cfg(unix)]
#[test]
fn means_of_weights_go_on_with_the_same_bits() {
    use std::time::Duration;

    let folder = folder("exercises_hour");
    let arguments =
        |results, threads| vec!["hour", "--epochs", "1", "--hidden", "8", "--results", results, "--threads", threads];
    let whole = run("exercises", &arguments("whole", "2"), &folder);
    assert!(whole.ok && whole.stdout.contains("| the mean of their probabilities "), "{whole:?}");
    let expected = kept(&folder.join("whole/hour"));
    assert_eq!(expected.len(), 1);

    let mut stopped = 0;
    while kept(&folder.join("parts/hour")).is_empty() {
        // In the middle of a training first; later it gets the time to end.
        let time = Duration::from_millis(1000 << stopped);
        let output = interrupted(started(&arguments("parts", "1"), &folder), time, || false);
        assert!(output.ok, "{output:?}");
        stopped += usize::from(output.stderr.contains("stopped; the same command goes on"));
    }
    assert!(stopped > 0, "it was never stopped");
    assert_eq!(kept(&folder.join("parts/hour")), expected);
}

#[test]
fn two_layers_from_scratch_learn_the_same() {
    let folder = folder("exercises_scratch");
    let output = run("exercises", &["scratch", "--epochs", "3", "--hidden", "16", "--results", "kept"], &folder);
    assert!(output.ok, "{output:?}");
    let apart = output.stdout.split("further apart than ").nth(1).and_then(|text| text.split(' ').next()).unwrap();
    assert!(apart.parse::<f64>().unwrap() < 1e-9, "{}", output.stdout);
    assert!(folder.join("kept/scratch/scratch.svg").exists());
}

#[test]
fn bad_arguments_are_refused_with_a_message() {
    let folder = folder("exercises_bad");
    fs::write(folder.join("file"), "").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["cells", "--texts", "no/such/folder"], "no/such/folder"),
        (&["table", "--seeds", "0"], "--seeds"),
        (&["table", "--epochs", "0"], "--epochs"),
        (&["table", "--results", "file"], "file"),
        (&["novels"], "novels"),
        (&["table", "--threads", "99999", "--epochs", "1"], "threads"),
    ];
    for (arguments, words) in cases {
        let output = run("exercises", arguments, &folder);
        assert!(!output.ok && output.stderr.contains(words), "{arguments:?}: {output:?}");
        assert!(!output.stderr.contains("panicked"), "{arguments:?}: {output:?}");
    }
}
