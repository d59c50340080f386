//! The example `time_machine`: where it gets the book from, against servers on this machine, and the program as a whole.

#[path = "../examples/time_machine/book.rs"]
mod book;
#[path = "support/example.rs"]
mod example;
#[path = "support/server.rs"]
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use book::{Problem, Shelf};
use example::{Output, ended};
use server::{Answer, Server};

fn folder(name: &str) -> PathBuf {
    example::folder(&format!("time_machine_{name}"))
}

fn run(arguments: &[&str], folder: &Path) -> Output {
    example::run("time_machine", arguments, folder)
}

fn command(arguments: &[&str], folder: &Path) -> Command {
    example::command("time_machine", arguments, folder)
}

const TEXT: &[u8] = b"abc"; // FIPS 180's example, so its SHA-1 is known from elsewhere
const SHA1: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";
const LIMIT: Duration = Duration::from_millis(600);

fn shelf(url: &str, folder: &Path) -> Shelf {
    let (url, folder) = (url.to_owned(), Some(folder.to_path_buf()));
    Shelf { url, sha1: SHA1.to_owned(), folder, time_limit: LIMIT, size_limit: 1000 }
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The problem, which must come within the time limit and a good deal of patience for a busy machine.
fn problem(shelf: &Shelf) -> Problem {
    let start = Instant::now();
    let problem = shelf.get().unwrap_err();
    assert!(start.elapsed() < LIMIT + Duration::from_secs(5), "{problem} after {:?}", start.elapsed());
    problem
}

#[test]
fn the_right_file_is_used_and_kept_and_not_asked_for_again() {
    let folder = folder("kept").join("not/there/yet");
    let server = Server::start(Answer::Body(TEXT.to_vec()));
    let shelf = shelf(&server.url(), &folder);
    for _ in 0..2 {
        let found = shelf.get().unwrap();
        assert_eq!(found.source.read().unwrap(), "abc");
        assert_eq!(found.not_kept, None);
        assert_eq!(server.requests(), 1);
    }
    assert_eq!(files(&folder), ["timemachine.txt"]);
    assert_eq!(fs::read(folder.join("timemachine.txt")).unwrap(), TEXT);
}

#[test]
fn a_kept_file_of_other_content_is_replaced() {
    let folder = folder("replaced");
    fs::write(folder.join("timemachine.txt"), "ab").unwrap();
    let server = Server::start(Answer::Body(TEXT.to_vec()));
    assert_eq!(shelf(&server.url(), &folder).get().unwrap().source.read().unwrap(), "abc");
    assert_eq!(server.requests(), 1);
    assert_eq!(fs::read(folder.join("timemachine.txt")).unwrap(), TEXT);
}

#[test]
fn a_download_of_other_content_is_refused_and_not_kept() {
    let folder = folder("refused");
    fs::write(folder.join("timemachine.txt"), "ab").unwrap();
    let server = Server::start(Answer::Body(b"<html>Log in to this network</html>".to_vec()));
    let problem = problem(&shelf(&server.url(), &folder));
    assert!(matches!(problem, Problem::Content(_)), "{problem}");
    assert!(problem.to_string().contains(SHA1), "{problem}");
    assert_eq!(files(&folder), ["timemachine.txt"]);
    assert_eq!(fs::read(folder.join("timemachine.txt")).unwrap(), b"ab");
}

#[test]
fn servers_that_do_not_deliver_are_given_up() {
    let cases = [
        (Answer::Silence, "timeout"),
        (Answer::HalfABody, "timeout"),
        (Answer::Body(vec![b'a'; 1001]), "limit"),
        (Answer::EndlessBody, "limit"),
        (Answer::Status("404 Not Found"), "404"),
        (Answer::Close, "io"),
    ];
    for (answer, word) in cases {
        let folder = folder("given_up");
        let server = Server::start(answer.clone());
        let problem = problem(&shelf(&server.url(), &folder));
        assert!(matches!(problem, Problem::Download(_)), "{answer:?}: {problem}");
        assert!(problem.to_string().contains(word), "{answer:?}: {problem}");
        assert_eq!(files(&folder), [""; 0], "{answer:?}");
    }
}

#[test]
fn nobody_listens() {
    let problem = problem(&shelf(&server::dead_url(), &folder("nobody")));
    assert!(matches!(problem, Problem::Download(_)), "{problem}");
}

#[test]
fn without_a_folder_that_can_be_written_the_download_is_used_all_the_same() {
    let file = folder("no_folder").join("file");
    fs::write(&file, "").unwrap();
    let server = Server::start(Answer::Body(TEXT.to_vec()));
    let mut shelf = shelf(&server.url(), &file.join("below"));
    for folder in [shelf.folder.clone(), None] {
        shelf.folder = folder;
        let found = shelf.get().unwrap();
        assert_eq!(found.source.read().unwrap(), "abc");
        assert!(found.not_kept.is_some());
    }
}

#[test]
fn the_books_own_shelf() {
    let shelf = Shelf::of_the_book(book::URL);
    assert_eq!(shelf.sha1, deep_rnn::text::TIME_MACHINE_SHA1);
    assert!(shelf.time_limit <= Duration::from_secs(10));
    assert!(shelf.folder.is_none_or(|folder| folder.is_absolute() && folder.ends_with("deep-rnn")));
}

const SMALL: &[&str] = &["--layers", "1", "--hidden", "8", "--batch-size", "2", "--num-steps", "5", "--epochs", "2"];

/// A text of 2520 characters in this folder.
fn text(folder: &Path) -> String {
    let path = folder.join("text.txt");
    fs::write(&path, "the time traveller for so it will be convenient to speak of him\n".repeat(40)).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[test]
fn two_epochs_of_everything() {
    let folder = folder("everything");
    let text = text(&folder);
    let cells = [("rnn", 1, "svg", &b"<svg"[..]), ("gru", 3, "png", b"\x89PNG"), ("lstm", 4, "SVG", b"<svg")];
    for (cell, gates, ending, start) in cells {
        let plot = folder.join(format!("curve.{ending}"));
        let plot = plot.to_str().unwrap();
        let wanted = ["--text", &text, &text, "--cell", cell, "--validation", "0.25", "--plot", plot, "--json"];
        let output = run(&[&wanted, SMALL, &["--prefix", "the Z", "--threads", "2"]].concat(), &folder);
        assert!(output.ok, "{}", output.stderr);

        let json: serde_json::Value = serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap();
        assert_eq!(json["epochs"], 2);
        for number in ["perplexity", "validation_perplexity", "tokens_per_second"] {
            assert!(json[number].as_f64().is_some_and(|x| x.is_finite() && x > 1.0), "{number} in {json}");
        }
        // 18 letters, the space and <unk>; 8 units; two biases; the head.
        let vocabulary = 20;
        let parameters = gates * 8 * (vocabulary + 8 + 2) + 9 * vocabulary;
        assert_eq!(json["parameters"], parameters, "{cell}");
        let continuations = json["continuations"].as_array().unwrap();
        assert_eq!(continuations.len(), 1);
        let continuation = continuations[0].as_str().unwrap();
        assert!(continuation.starts_with("the Z") && continuation.len() >= 55, "{continuation}");
        assert!(output.stdout.lines().any(|line| line == continuation), "{}", output.stdout);

        assert!(output.stderr.contains("epoch 2 of 2: perplexity"), "{}", output.stderr);
        assert!(fs::read(plot).unwrap().starts_with(start), "{plot}");
    }
}

#[test]
fn the_same_on_any_number_of_threads() {
    let folder = folder("threads");
    let text = text(&folder);
    let perplexity = |threads| {
        let output = run(&[&["--text", &text, "--json", "--random", "--threads", threads], SMALL].concat(), &folder);
        let json: serde_json::Value = serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap();
        assert!(json["validation_perplexity"].is_null());
        json["perplexity"].as_f64().unwrap().to_bits()
    };
    assert_eq!(perplexity("1"), perplexity("3"));
}

#[test]
fn without_the_book_it_says_so_in_one_line_and_trains_on_cicero() {
    let wrong = Server::start(Answer::Body(TEXT.to_vec()));
    for (url, reason) in [(server::dead_url(), "no download"), (wrong.url(), "is not the book's file")] {
        let folder = folder("cicero");
        let output = run(&[&["--book-url", &url, "--max-tokens", "500"], SMALL].concat(), &folder);
        assert!(output.ok, "{}", output.stderr);
        let said = output.stderr.lines().filter(|line| line.contains("Cicero")).collect::<Vec<_>>();
        assert_eq!(said.len(), 1, "{}", output.stderr);
        assert!(said[0].contains(reason), "{}", output.stderr);
        assert!(output.stdout.contains("perplexity"), "{}", output.stdout);
    }
}

/// Ctrl-C: the window is finished, the training kept; what goes on ends as what never stopped did.
#[cfg(unix)]
#[test]
fn what_is_stopped_goes_on_with_the_same_bits() {
    use std::process::Stdio;
    let folder = folder("stopped");
    let text = text(&folder);
    let wanted: &[&str] = &["--text", &text, "--json", "--hidden", "16", "--batch-size", "2", "--num-steps", "5"];
    let wanted = [wanted, &["--epochs", "40", "--validation", "0.25", "--threads", "1", "--random"]].concat();
    let results = |stdout: &str| {
        let json: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        ["perplexity", "validation_perplexity", "continuations", "epochs"].map(|name| json[name].to_string())
    };
    let whole = run(&wanted, &folder);
    assert!(whole.ok, "{}", whole.stderr);

    let keep = [&wanted[..], &["--checkpoint", "kept"]].concat();
    let mut stopped = 0;
    let mut output = {
        let child = command(&keep, &folder).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Until it has the folder, and then a little.
        let start = Instant::now();
        while !folder.join("kept").exists() && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(100));
        _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        ended(child.wait_with_output().unwrap())
    };
    while output.stdout.lines().last().is_none_or(|line| !line.starts_with('{')) {
        assert!(
            output.ok && output.stderr.contains("goes on with\ncargo run --release --example time_machine -- "),
            "{output:?}"
        );
        assert!(output.stderr.trim_end().ends_with("--checkpoint kept --resume"), "{output:?}");
        stopped += 1;
        let again = run(&keep, &folder);
        assert!(!again.ok && again.stderr.contains("go on with --resume"), "{again:?}");
        let child = command(&[&keep[..], &["--resume"]].concat(), &folder);
        output = { child }.stdout(Stdio::piped()).stderr(Stdio::piped()).output().map(ended).unwrap();
    }
    println!("stopped {stopped} times");
    assert_eq!(results(&output.stdout), results(&whole.stdout));
    let other = run(&[&keep[..], &["--resume", "--lr", "1"]].concat(), &folder);
    assert!(!other.ok && other.stderr.contains("settings: arguments: expected --lr 2"), "{other:?}");
    let none = run(&[&wanted[..], &["--checkpoint", "empty", "--resume"]].concat(), &folder);
    assert!(!none.ok && none.stderr.contains("no checkpoint to go on from"), "{none:?}");
}

#[test]
fn bad_arguments_are_refused_with_a_message() {
    let folder = folder("bad");
    let good = text(&folder);
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).unwrap();
        folder.join(name).into_os_string().into_string().unwrap()
    };
    let (latin, short, empty) = (write("latin", b"caf\xe9"), write("short", b"abc"), write("empty", b""));
    let cases: &[(&[&str], &str)] = &[
        (&["--text", &good, "--layers", "0"], "--layers"),
        (&["--text", &good, "--hidden", "0"], "--hidden"),
        (&["--text", &good, "--epochs", "0"], "--epochs"),
        (&["--text", &good, "--lr", "nan"], "--lr"),
        (&["--text", &good, "--lr", "inf"], "--lr"),
        (&["--text", &good, "--threads", "0"], "--threads"),
        (&["--text", &good, "--threads", "99999"], "threads"),
        (&["--text", &good, "--hidden", "18446744073709551615"], "units"),
        (&["--text", &good, "--cell", "transformer"], "[possible values: rnn, gru, lstm]"),
        (&["--text", &good, "--validation", "1.0"], "--validation"),
        (&["--text", &good, "--validation", "0.01"], "held-out part"),
        (&["--text", &good, "--plot", "curve.jpg"], ".png or .svg"),
        (&["--text", &good, "--plot", "no/such/folder/curve.png"], "no folder"),
        (&["--text", &good, "--prefix", ""], "--prefix"),
        (&["--text", &short], "number of tokens"),
        (&["--text", &good, &latin], "UTF-8"),
        (&["--text", &empty], "empty"),
        (&["--text", "no/such/file"], "no/such/file"),
        (&["--text"], "--text"),
        (&["--text", &good, "--resume"], "--checkpoint"),
        (&["--text", &good, "--checkpoint", "text.txt"], "text.txt"),
    ];
    for (arguments, words) in cases {
        let output = run(arguments, &folder);
        assert!(!output.ok, "{arguments:?}: {}", output.stdout);
        assert!(output.stderr.starts_with("error: "), "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(words), "{arguments:?}: {}", output.stderr);
        assert!(!output.stderr.contains("panicked"), "{arguments:?}: {}", output.stderr);
    }
}
