//! The table: one row for each figure.

/// One figure, and what it is held against.
pub(crate) struct Row {
    what: String,
    value: String,
    against: String,
    ratio: Option<f64>,
    aim: String,
}

impl Row {
    /// A figure that stands alone.
    pub(crate) fn new(what: impl Into<String>, value: impl Into<String>) -> Row {
        Row {
            what: what.into(),
            value: value.into(),
            against: String::new(),
            ratio: None,
            aim: String::new(),
        }
    }

    /// Says what it is held against, and its ratio to that.
    pub(crate) fn against(self, against: impl Into<String>, ratio: f64) -> Row {
        Row { against: against.into(), ratio: Some(ratio), ..self }
    }

    /// Says what is aimed at.
    pub(crate) fn aim(self, aim: impl Into<String>) -> Row {
        Row { aim: aim.into(), ..self }
    }

    #[expect(clippy::print_stdout, reason = "the table is what it is for")]
    pub(crate) fn print(&self) {
        let Row { what, value, against, ratio, aim } = self;
        let ratio = match ratio {
            None => String::new(),
            Some(ratio) if *ratio < 10.0 => format!("{ratio:.2}"),
            Some(ratio) => format!("{ratio:.0}"),
        };
        println!("| {what} | {value} | {against} | {ratio} | {aim} |");
    }
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
pub(crate) fn head() {
    println!("| measurement | value | against | ratio | aim |");
    println!("|---|---|---|---|---|");
}

/// The value below which so many percent of sorted values lie.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0)
}

/// The middle one.
pub(crate) fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    percentile(&values, 50)
}

/// Nanoseconds, for people.
pub(crate) fn time(ns: u64) -> String {
    let ns = ns as f64;
    match ns {
        ns if ns < 1e6 => format!("{:.0} us", ns / 1e3),
        ns if ns < 1e8 => format!("{:.2} ms", ns / 1e6),
        ns if ns < 1e9 => format!("{:.0} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}

/// Processor time of this thread in nanoseconds.
pub(crate) fn cpu() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Processor time of all threads of this process in nanoseconds.
pub(crate) fn process_cpu() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
