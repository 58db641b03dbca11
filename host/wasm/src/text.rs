//! Makes text of plug-ins fit to be shown: bounded, and without anything that steers a terminal or a page.

/// At most `max` bytes of a text, on one line; `…` stands for what was cut off.
///
/// Control characters become `\u{fffd}`, line breaks and tabs become spaces, and so do the characters by which text
/// can be made to read in another direction than it is written.
pub(crate) fn clean(text: &str, max: usize) -> String {
    const CUT: char = '…';
    let mut clean = String::with_capacity(text.len().min(max));
    for c in text.chars() {
        let c = match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        };
        if clean.len() + c.len_utf8() > max {
            while clean.len() + CUT.len_utf8() > max && clean.pop().is_some() {}
            clean.push(CUT);
            return clean;
        }
        clean.push(c);
    }
    clean
}

/// What a call logged, within the limits.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: Vec<String>,
    dropped: u32,
    last_error: Option<String>,
}

impl Lines {
    /// Keeps a line; returns its text as kept, or `None` if there were too many already.
    pub(crate) fn push(&mut self, level: &str, message: &str) -> Option<String> {
        let message = clean(message, crate::limits::LOG_LINE_BYTES);
        if level == "error" {
            self.last_error = Some(message.clone());
        }
        if self.lines.len() >= crate::limits::LOG_LINES {
            self.dropped += 1;
            return None;
        }
        self.lines.push(format!("{level}: {message}"));
        Some(message)
    }

    /// The last line of level error: a plug-in that panics says why there.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// All lines, and how many there were not.
    pub(crate) fn finish(mut self) -> Vec<String> {
        if self.dropped > 0 {
            self.lines.push(format!("warn: {} further lines were dropped", self.dropped));
        }
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_plugins_is_bounded_and_steers_nothing() {
        for (text, max, expected) in [
            ("plain", 10, "plain"),
            ("two\nlines\r\n", 20, "two lines  "),
            ("\u{1b}[2Jgone", 20, "\u{fffd}[2Jgone"),
            ("a\u{202e}b", 20, "a b"),
            ("0123456789", 10, "0123456789"),
            ("0123456789x", 10, "0123456…"),
            ("ääääää", 10, "äää…"),
        ] {
            let clean = clean(text, max);
            assert_eq!(clean, expected);
            assert!(clean.len() <= max, "{text:?}");
        }
    }

    #[test]
    fn lines_beyond_the_limit_are_counted() {
        let mut lines = Lines::default();
        for _ in 0..crate::limits::LOG_LINES + 2 {
            lines.push("info", "again");
        }
        lines.push("error", "the last");
        assert_eq!(lines.last_error(), Some("the last"));
        let kept = lines.finish();
        assert_eq!(kept.len(), crate::limits::LOG_LINES + 1);
        assert_eq!(kept.last().map(String::as_str), Some("warn: 3 further lines were dropped"));
    }
}
