//! The feed: what happened in all sessions, in order, for whoever follows it as server-sent events.
//!
//! One follower reads new lines off each state that is on disk, and writes each once; any number of readers take them
//! from a ring. A reader that is slow waits for nobody and holds nobody up: it finds the ring where it left it, or is
//! told that it missed something.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use fenix_core::id::SessionId;
use fenix_core::session::Session;
use fenix_core::state::State;
use serde_json::json;
use tokio::sync::watch;

use super::desk::Desk;
use crate::wire::time::iso;

/// Events that are kept for readers that come back: those of a session over some hundred hosts, some MiB in all.
const KEPT: usize = 16 * 1024;

/// Events that one look at the ring takes: a slow reader holds no more.
const PAGE: usize = 64;

/// One thing that happened.
#[derive(Debug, PartialEq, Eq)]
pub struct News {
    /// The number of the record that it tells of; counts up, not without gaps.
    pub id: u64,
    /// Of which session.
    pub session: SessionId,
    /// The word for its kind: `line`, or `removed`.
    pub kind: &'static str,
    /// JSON text, without line breaks.
    pub data: String,
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The next events.
    pub news: Vec<Arc<News>>,
    /// Where the next look goes on.
    pub next: u64,
    /// True if events before these are no longer kept.
    pub missed: bool,
}

/// The feed. Clones share it.
#[derive(Clone, Debug)]
pub struct Feed {
    ring: Arc<RwLock<Ring>>,
    last: watch::Receiver<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    news: VecDeque<Arc<News>>,
    /// The number of the last event that was dropped, or that was never known.
    dropped: u64,
}

impl Feed {
    /// A feed of what `desk` shows, from what it remembers on. It follows until the writer has ended.
    pub fn follow(desk: &Desk) -> Feed {
        let mut changes = desk.changes();
        let state = changes.borrow_and_update().clone();
        let mut ring = Ring { news: VecDeque::new(), dropped: beginning(&state) };
        ring.take(fresh(None, &state));
        let (sender, last) = watch::channel(state.seq);
        let feed = Feed { ring: Arc::new(RwLock::new(ring)), last };
        let shared = feed.ring.clone();
        tokio::spawn(async move {
            let mut before = state;
            while changes.changed().await.is_ok() {
                let now = changes.borrow_and_update().clone();
                let news = fresh(Some(&before), &now);
                if !news.is_empty() {
                    shared.write().unwrap_or_else(PoisonError::into_inner).take(news);
                    sender.send_replace(now.seq);
                }
                before = now;
            }
        });
        feed
    }

    /// Events after a number, some of them at a time, and only of one session if that is wanted.
    pub fn after(&self, id: u64, only: Option<&SessionId>) -> Page {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let from = ring.news.partition_point(|news| news.id <= id);
        let wanted = |news: &&Arc<News>| only.is_none_or(|only| news.session == *only);
        let news: Vec<Arc<News>> = ring.news.range(from..).filter(wanted).take(PAGE).cloned().collect();
        let next = match (news.last(), ring.news.back()) {
            (Some(last), _) if news.len() == PAGE => last.id,
            (_, Some(last)) => last.id.max(id),
            (_, None) => id,
        };
        Page { news, next, missed: id < ring.dropped }
    }

    /// The number of the last event.
    pub fn last(&self) -> u64 {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.news.back().map_or(ring.dropped, |news| news.id)
    }

    /// Tells of every newer event.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.last.clone()
    }
}

impl Ring {
    fn take(&mut self, news: Vec<News>) {
        for news in news {
            if self.news.len() == KEPT
                && let Some(oldest) = self.news.pop_front()
            {
                self.dropped = oldest.id;
            }
            self.news.push_back(Arc::new(news));
        }
    }
}

/// The number up to which nothing is remembered: what was before a session's kept lines is in the journal only.
fn beginning(state: &State) -> u64 {
    let oldest = state.sessions.values().filter_map(|session| session.history.front()).map(|line| line.seq);
    oldest.min().map_or(state.seq, |seq| seq.saturating_sub(1))
}

/// What is new in a state, in order.
fn fresh(before: Option<&State>, now: &State) -> Vec<News> {
    let seen = before.map_or(0, |before| before.seq);
    let mut news: Vec<News> = now
        .sessions
        .values()
        .flat_map(|session| {
            let newer = session.history.iter().rev().take_while(move |line| line.seq > seen);
            newer.map(move |line| News {
                id: line.seq,
                session: session.id.clone(),
                kind: "line",
                data: data(session, &line.what, &line.why, iso(line.at)),
            })
        })
        .collect();
    let gone = before.into_iter().flat_map(|before| before.sessions.values());
    let gone = gone.filter(|session| !now.sessions.contains_key(&session.id));
    news.extend(gone.map(|session| News {
        id: now.seq,
        session: session.id.clone(),
        kind: "removed",
        data: data(session, "removed", "", iso(now.at)),
    }));
    news.sort_by_key(|news| news.id);
    news
}

fn data(session: &Session, what: &str, why: &str, at: String) -> String {
    let event = json!({
        "session_id": session.id.as_str(),
        "state": session.phase.wire(),
        "percent_done": session.percent_done(),
        "at": at,
        "what": what,
        "why": why,
    });
    event.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(id: u64, session: &str) -> News {
        News { id, session: session.into(), kind: "line", data: String::new() }
    }

    fn feed(all: Vec<News>) -> Feed {
        let mut ring = Ring::default();
        ring.take(all);
        Feed { ring: Arc::new(RwLock::new(ring)), last: watch::channel(0).1 }
    }

    fn ids(page: &Page) -> Vec<u64> {
        page.news.iter().map(|news| news.id).collect()
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let feed = feed(vec![news(2, "a"), news(5, "b"), news(9, "a")]);
        let check = |after: u64, only: Option<&str>, expected: &[u64], next: u64| {
            let page = feed.after(after, only.map(SessionId::from).as_ref());
            assert_eq!((ids(&page).as_slice(), page.next, page.missed), (expected, next, false));
        };
        check(0, None, &[2, 5, 9], 9);
        check(2, None, &[5, 9], 9);
        check(9, None, &[], 9);
        check(99, None, &[], 99);
        check(0, Some("b"), &[5], 9);
        check(0, Some("nobody"), &[], 9);
    }

    #[test]
    fn the_ring_forgets_the_oldest_and_says_so() {
        let feed = feed((1..=KEPT as u64 + 10).map(|id| news(id, "a")).collect());
        let page = feed.after(0, None);
        assert!(page.missed && page.news.len() == PAGE);
        assert_eq!(page.news[0].id, 11);
        assert_eq!(page.next, 10 + PAGE as u64);
        assert!(!feed.after(10, None).missed);
        assert_eq!(feed.last(), KEPT as u64 + 10);
    }
}
