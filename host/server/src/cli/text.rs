//! Text for terminals: safe, and in columns.

/// The text without control characters: names and reasons come from other people's plug-ins and clouds, and a
/// terminal takes orders in escape sequences.
pub fn plain(text: &str) -> String {
    let harmless = |c: char| !c.is_control() && !is_bidi_control(c);
    text.chars().map(|c| if harmless(c) { c } else { ' ' }).collect()
}

/// Characters that turn the direction of what follows, so that a line can read otherwise than it is.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Rows in columns, each as wide as its widest cell; the last one as it comes.
pub fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| rows.iter().filter_map(|row| row.get(i)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|i| width(i).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// The text, cut to a width with an ellipsis.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_command_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\nc\u{202e}d"), "a [2Jb c d");
    }

    #[test]
    fn columns_line_up() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let lines = columns(&[row(&["a", "bb", "c"]), row(&["aaa", "b", ""])]);
        assert_eq!(lines, ["a    bb  c", "aaa  b"]);
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cut("maintenance", 6), "maint…");
        assert_eq!(cut("short", 6), "short");
    }
}
