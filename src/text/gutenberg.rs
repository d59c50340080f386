//! What Project Gutenberg wraps around a book.

/// A line that is not the book's.
#[derive(Clone, Copy, PartialEq)]
enum Marker {
    Start,
    End,
    /// Ends the header of the oldest files; later ones may have it elsewhere, where it is left alone.
    SmallPrint,
}

/// The book in `text` (with `\n` line ends), without the header, the licence, the credits right after the header and
/// the transcriber's notes. A text without markers comes back as it is.
///
/// The book begins after a line `*** START OF THE (or THIS) PROJECT GUTENBERG EBOOK …` (or the older `*END*THE SMALL
/// PRINT!`) and ends before a line `*** END OF …` or `End of (the, this) Project Gutenberg …`. If only one of them is
/// there, the other end is that of the text; several books in one file are all kept.
pub(super) fn strip(text: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut markers: Vec<Option<Marker>> = lines.iter().map(|line| marker(line)).collect();
    let is_header =
        markers.iter().flatten().next() == Some(&Marker::SmallPrint) && !markers.contains(&Some(Marker::Start));
    for found in markers.iter_mut().filter(|marker| **marker == Some(Marker::SmallPrint)) {
        *found = is_header.then_some(Marker::Start);
    }
    if markers.iter().all(Option::is_none) {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut inside = !markers.contains(&Some(Marker::Start));
    let mut i = 0;
    while i < lines.len() {
        match markers[i] {
            Some(Marker::Start) => {
                inside = true;
                i = after_credits(&lines, after_marker(&lines, i));
                continue;
            }
            Some(Marker::End) => inside = false,
            None if inside && is_note(lines[i]) => {
                i = after_note(&lines, i);
                continue;
            }
            None if inside => out.push_str(lines[i]),
            Some(Marker::SmallPrint) | None => {}
        }
        i += 1;
    }
    out
}

fn marker(line: &str) -> Option<Marker> {
    let line = line.trim().to_ascii_lowercase();
    let words = line.trim_start_matches('*').trim_start();
    let stars = line.starts_with("***");
    let of_gutenberg = |rest: &str| {
        let rest = rest.strip_prefix("the ").or_else(|| rest.strip_prefix("this ")).unwrap_or(rest);
        rest.starts_with("project gutenberg")
    };
    if let Some(rest) = words.strip_prefix("start of ") {
        return (stars && of_gutenberg(rest)).then_some(Marker::Start);
    }
    if let Some(rest) = words.strip_prefix("end of ") {
        return of_gutenberg(rest).then_some(Marker::End);
    }
    let small_print = ["*end*the small print", "*end the small print"].iter().any(|start| line.starts_with(start));
    small_print.then_some(Marker::SmallPrint)
}

/// The line after the marker at `start`, which a long title spreads over several lines up to the closing stars.
fn after_marker(lines: &[&str], start: usize) -> usize {
    if lines[start].trim_end().ends_with('*') {
        return start + 1;
    }
    let below = start + 1;
    let paragraph = paragraph(lines, below);
    let closing = lines[below..below + paragraph].iter().position(|line| line.trim_end().ends_with('*'));
    below + closing.map_or(0, |line| line + 1)
}

/// How many lines there are from `start` to a blank one or a marker.
fn paragraph(lines: &[&str], start: usize) -> usize {
    lines[start..].iter().take_while(|line| !line.trim().is_empty() && marker(line).is_none()).count()
}

/// The line after the paragraph that names who made the file, if one is the first thing at `start`.
fn after_credits(lines: &[&str], start: usize) -> usize {
    const CREDITS: [&str; 6] = [
        "produced by ",
        "e-text prepared by ",
        "this etext was prepared by ",
        "this etext was produced by ",
        "this ebook was produced by ",
        "transcribed from ",
    ];
    let first = start + lines[start..].iter().take_while(|line| line.trim().is_empty()).count();
    let Some(line) = lines.get(first).map(|line| line.trim().to_ascii_lowercase()) else { return start };
    if CREDITS.iter().any(|credit| line.starts_with(credit)) { first + paragraph(lines, first) } else { start }
}

fn is_note(line: &str) -> bool {
    let line = line.trim_start().to_lowercase();
    line.starts_with("[transcriber's note") || line.starts_with("[transcriber’s note")
}

/// The line after the note at `start`: up to its closing bracket, at most to the end of the paragraph.
fn after_note(lines: &[&str], start: usize) -> usize {
    let paragraph = paragraph(lines, start);
    let closing = lines[start..start + paragraph].iter().position(|line| line.trim_end().ends_with(']'));
    start + closing.map_or(paragraph, |line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_markers() {
        let text = "The Project Gutenberg EBook of X\n\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n\n\n\
            Produced by A and\nB\n\nX\n\n[Transcriber's Note: an\nerror]\nOne.\n[Illustration: y]\n\n\
            End of the Project Gutenberg EBook of X\n\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***\n\nLicence\n";
        assert_eq!(strip(text), "\nX\n\nOne.\n[Illustration: y]\n\n");
    }

    #[test]
    fn one_marker() {
        assert_eq!(strip("a\n***START OF THE PROJECT GUTENBERG EBOOK X***\nb\n"), "b\n");
        assert_eq!(strip("a\n  *** End of the Project Gutenberg EBook X ***\nb\n"), "a\n");
        assert_eq!(strip("a\nEnd of Project Gutenberg's X, by Y\nb"), "a\n");
        assert_eq!(strip("a\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\nb"), "b");
    }

    #[test]
    fn long_title_and_several_books() {
        let text = "h\n*** START OF THE PROJECT GUTENBERG EBOOK A\nLONG TITLE ***\none\n\
            *** END OF THE PROJECT GUTENBERG EBOOK A\nLONG TITLE ***\nlicence\n\
            *** START OF THE PROJECT GUTENBERG EBOOK B ***\ntwo\n*** END OF THE PROJECT GUTENBERG EBOOK B ***\n";
        assert_eq!(strip(text), "one\ntwo\n");
    }

    #[test]
    fn markers_in_odd_places() {
        let start = "*** START OF THE PROJECT GUTENBERG EBOOK X";
        assert_eq!(strip(&format!("{start}\na\n*** END OF THE PROJECT GUTENBERG EBOOK X ***\nb")), "a\n");
        assert_eq!(strip(&format!("{start}\n\nb *")), "\nb *");
        assert_eq!(strip(&format!("{start} ***\nb\n*END THE SMALL PRINT*\nc")), "b\n*END THE SMALL PRINT*\nc");
        assert_eq!(strip("b\nEnd of Project Gutenberg's X\n*END THE SMALL PRINT*\nc"), "b\n");
    }

    #[test]
    fn other_text_is_untouched() {
        for text in ["", "\n", "He read at Project Gutenberg.\n*** \nThe end of the project\n[Transcriber's Note: x]\n"]
        {
            assert_eq!(strip(text), text);
        }
        assert_eq!(strip("*** START OF THE PROJECT GUTENBERG EBOOK"), "");
    }

    #[test]
    fn credits_and_notes() {
        let start = "*** START OF THE PROJECT GUTENBERG EBOOK X ***";
        for credit in [
            "Produced by A",
            "E-text prepared by A",
            "This etext was prepared by A",
            "This eText was produced by A",
            "This eBook was produced by A",
            "Transcribed from the edition of A",
        ] {
            assert_eq!(strip(&format!("{start}\n\n {credit}\nand B\n\nX\n")), "\nX\n", "{credit}");
            // Only what comes first, and only up to a blank line.
            assert_eq!(strip(&format!("{start}\nX\n\n{credit}\n")), format!("X\n\n{credit}\n"));
        }
        for mark in ["'", "’"] {
            let note = format!("[Transcriber{mark}s Note: an");
            assert_eq!(strip(&format!("{start}\na\n{note}\nerror]\nb\n")), "a\nb\n");
            assert_eq!(strip(&format!("{start}\na\n  {note}\n  error]\nb\n")), "a\nb\n", "indented");
            assert_eq!(strip(&format!("{start}\na\n{note}\nerror\n\nb\n")), "a\n\nb\n", "no bracket");
        }
    }

    #[test]
    fn words_of_a_marker() {
        for of in ["THE PROJECT GUTENBERG", "THIS PROJECT GUTENBERG", "PROJECT GUTENBERG"] {
            assert_eq!(strip(&format!("a\n*** START OF {of} EBOOK X ***\nb\n")), "b\n");
            assert_eq!(strip(&format!("a\n*** END OF {of} EBOOK X ***\nb\n")), "a\n");
            assert_eq!(strip(&format!("a\nEnd of {of} EBook X\nb\n")), "a\n");
        }
        for small in ["*END*THE SMALL PRINT! FOR", "*END THE SMALL PRINT! FOR"] {
            assert_eq!(strip(&format!("a\n{small}\nb\n")), "b\n");
        }
        for text in [
            "a\nStart of the Project Gutenberg\nb\n",
            "a\n** START OF THE PROJECT GUTENBERG EBOOK X **\nb\n",
            "a\n*** START OF ANOTHER PROJECT ***\nb\n",
            "a\n*** END OF THE STORY ***\nb\n",
        ] {
            assert_eq!(strip(text), text);
        }
    }
}
