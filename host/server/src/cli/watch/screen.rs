//! The terminal: another screen while a session is watched, and the one before it afterwards.
//!
//! Every picture is written whole and in one go, between marks that keep terminals that know them from showing half
//! of it; nothing is erased before it is written over, so that nothing flickers.

use std::io::IsTerminal;

use super::super::print;
use super::picture::{Frame, Line, Look};

/// The size of a terminal that does not tell.
const USUAL: (u16, u16) = (100, 30);

/// Switches to another screen and hides the cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";

/// Shows the cursor again, and goes back.
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Begin and end of a picture that is to be shown at once.
const AT_ONCE: (&str, &str) = ("\x1b[?2026h", "\x1b[?2026l");

/// The other screen; it is left when this is dropped.
#[derive(Debug)]
pub(crate) struct Screen {
    colours: bool,
    shown: String,
}

impl Screen {
    /// Switches to the other screen.
    pub(crate) fn enter() -> Screen {
        print::raw(ENTER);
        Screen { colours: colours(), shown: String::new() }
    }

    /// The terminal as it is now: people resize windows.
    pub(crate) fn frame(&self) -> Frame {
        let (width, height) =
            terminal_size::terminal_size().map_or(USUAL, |(width, height)| (width.0, height.0));
        Frame {
            width: width.into(),
            height: height.into(),
            unicode: unicode(|name| std::env::var(name).ok()),
        }
    }

    /// Shows a picture that fits the frame.
    pub(crate) fn show(&mut self, lines: &[Line]) {
        let text = drawn(lines, self.colours);
        if text != self.shown {
            print::raw(&format!("{}{text}{}", AT_ONCE.0, AT_ONCE.1));
            self.shown = text;
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        print::raw(LEAVE);
    }
}

/// True if a person looks at a terminal that can be drawn on.
pub(crate) fn is_there() -> bool {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !dumb
}

/// True unless the user wants none: <https://no-color.org>.
fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// True if the locale has more than ASCII: the first of these variables that says anything counts.
fn unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let said =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    said.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// The lines as a terminal takes them, from its upper left corner on.
fn drawn(lines: &[Line], colours: bool) -> String {
    let mut text = String::from("\x1b[H");
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            text.push_str("\r\n");
        }
        for (look, piece) in &line.0 {
            match code(*look).filter(|_| colours) {
                Some(code) => text.push_str(&format!("\x1b[{code}m{piece}\x1b[0m")),
                None => text.push_str(piece),
            }
        }
        text.push_str("\x1b[K");
    }
    // A picture shorter than the last one leaves none of that behind.
    text.push_str("\x1b[J");
    text
}

/// The terminal's code for a look; the sixteen colours are those that people have set to be readable.
fn code(look: Look) -> Option<&'static str> {
    match look {
        Look::Plain => None,
        Look::Strong => Some("1"),
        Look::Faint => Some("2"),
        Look::Good => Some("32"),
        Look::Busy => Some("36"),
        Look::Waiting => Some("33"),
        Look::Bad => Some("31"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_tells_whether_there_is_more_than_ascii() {
        let check = |set: &[(&str, &str)], expected: bool| {
            let variable = |name: &str| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(unicode(variable), expected, "{set:?}");
        };
        check(&[], false);
        check(&[("LANG", "en_GB.UTF-8")], true);
        check(&[("LANG", "C.utf8"), ("LC_ALL", "")], true);
        check(&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")], false);
    }

    #[test]
    fn colours_are_written_only_if_they_are_wanted() {
        let lines = [Line(vec![(Look::Bad, "x".into()), (Look::Plain, "y".into())]), Line::default()];
        assert_eq!(drawn(&lines, true), "\x1b[H\x1b[31mx\x1b[0my\x1b[K\r\n\x1b[K\x1b[J");
        assert_eq!(drawn(&lines, false), "\x1b[Hxy\x1b[K\r\n\x1b[K\x1b[J");
    }
}
