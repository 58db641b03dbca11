//! The clairvoyant planner: it knows from the beginning how long everything will take, and may try as often as it likes.
//!
//! It shares nothing with Fenix but the problem: so many hosts out at once, managers' lead time, what groups bear and how
//! long their members recover, and one machine's room for what leaves another. What it does not have are the costs of
//! finding out: it waits for no answer of the cloud's, and no decision takes it any time. It begins with the best of
//! several orders (longest work first, least to move first, as they come), and improves it by exchanging hosts.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// What is to be planned. Times are in milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problem {
    pub(crate) hosts: Vec<Host>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) groups: Vec<Group>,
    /// Most hosts out at once.
    pub(crate) at_once: usize,
    /// What one move takes.
    pub(crate) moving: u64,
    /// When the first host may be touched: lead time has passed, and there is room.
    pub(crate) from: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) size: u32,
    pub(crate) work: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) host: usize,
    pub(crate) size: u32,
    pub(crate) group: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Most members out at once.
    pub(crate) bears: usize,
    pub(crate) recovery: u64,
    /// True if no two members may be on one host.
    pub(crate) apart: bool,
}

/// What a plan comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Plan {
    /// When the last host is done.
    pub(crate) makespan: u64,
    pub(crate) moves: u64,
}

/// The best plan found with so many tries. `None` if in no order every host can be emptied.
pub(crate) fn plan(problem: &Problem, tries: u32) -> Option<Plan> {
    let count = problem.hosts.len();
    let mut load = vec![0u32; count];
    for instance in &problem.instances {
        load[instance.host] += instance.size;
    }
    let as_they_come: Vec<usize> = (0..count).collect();
    let sorted = |key: &dyn Fn(usize) -> (u64, u64)| {
        let mut order = as_they_come.clone();
        order.sort_by_key(|host| key(*host));
        order
    };
    let orders = [
        sorted(&|host| (u64::MAX - problem.hosts[host].work, 0)),
        sorted(&|host| (u64::from(load[host]), u64::MAX - problem.hosts[host].work)),
        sorted(&|host| (u64::from(load[host] > 0), u64::MAX - problem.hosts[host].work)),
        as_they_come,
    ];
    let tried = orders.into_iter().filter_map(|order| Some((follow(problem, &order)?, order)));
    let (mut best, mut order) = tried.min_by_key(|(plan, _)| *plan)?;
    let mut chance = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |most: usize| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        (chance % most as u64) as usize
    };
    for _ in 0..tries {
        let (from, to) = (below(count), below(count));
        let mut other = order.clone();
        if below(2) == 0 {
            other.swap(from, to);
        } else {
            let host = other.remove(from);
            other.insert(to, host);
        }
        // One that is no worse is a step too: there are many orders of the same length side by side.
        if let Some(plan) = follow(problem, &other).filter(|plan| *plan <= best) {
            (best, order) = (plan, other);
        }
    }
    Some(best)
}

/// No plan can be shorter: every host takes its work and one move at least if it is not empty, `at_once` of them at a time;
/// and the members of a group leave their hosts so many at a time, and recover in between.
pub(crate) fn bound(problem: &Problem) -> u64 {
    let mut holds = vec![false; problem.hosts.len()];
    let mut members = vec![0usize; problem.groups.len()];
    for instance in &problem.instances {
        holds[instance.host] = true;
        if let Some(group) = instance.group {
            members[group] += 1;
        }
    }
    let takes = |(host, holds): (&Host, &bool)| host.work + if *holds { problem.moving } else { 0 };
    let each: Vec<u64> = problem.hosts.iter().zip(&holds).map(takes).collect();
    let all = each.iter().sum::<u64>() / problem.at_once as u64;
    let longest = each.iter().copied().max().unwrap_or_default();
    let shortest = problem.hosts.iter().map(|host| host.work).min().unwrap_or_default();
    let groups = problem.groups.iter().zip(&members).filter(|(_, members)| **members > 0);
    let of_group = |(group, members): (&Group, &usize)| {
        let rounds = members.div_ceil(group.bears) as u64;
        rounds * problem.moving + (rounds - 1) * group.recovery + shortest
    };
    problem.from + all.max(longest).max(groups.map(of_group).max().unwrap_or_default())
}

/// The state of one attempt.
struct Attempt<'a> {
    problem: &'a Problem,
    /// Where each host stands in the order.
    rank: Vec<usize>,
    free: Vec<u32>,
    on: Vec<Vec<usize>>,
    out: Vec<bool>,
    done: Vec<bool>,
    at: Vec<usize>,
    /// By group and host, how many members.
    members: Vec<std::collections::BTreeMap<usize, u32>>,
    /// By group, from when on one more member may go out, for each that it bears.
    slots: Vec<BinaryHeap<Reverse<u64>>>,
    moves: u64,
}

/// Takes hosts in that order, each as soon as there is a slot and room for what is on it; one that has to wait lets others
/// go first.
fn follow(problem: &Problem, order: &[usize]) -> Option<Plan> {
    let mut attempt = Attempt::new(problem, order);
    let mut waiting: Vec<usize> = order.to_vec();
    let mut ends: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut now = problem.from;
    let mut makespan = now;
    while !waiting.is_empty() || !ends.is_empty() {
        let mut at = 0;
        while at < waiting.len() && ends.len() < problem.at_once {
            match attempt.begin(waiting[at], now) {
                Some(end) => {
                    ends.push(Reverse((end, waiting.remove(at))));
                }
                None => at += 1,
            }
        }
        // Nothing is under way, and nothing can begin.
        let Reverse((end, host)) = ends.pop()?;
        now = end;
        makespan = makespan.max(now);
        attempt.end(host);
    }
    Some(Plan { makespan, moves: attempt.moves })
}

impl<'a> Attempt<'a> {
    fn new(problem: &'a Problem, order: &[usize]) -> Attempt<'a> {
        let count = problem.hosts.len();
        let mut attempt = Attempt {
            problem,
            rank: vec![0; count],
            free: problem.hosts.iter().map(|host| host.size).collect(),
            on: vec![Vec::new(); count],
            out: vec![false; count],
            done: vec![false; count],
            at: problem.instances.iter().map(|instance| instance.host).collect(),
            members: vec![std::collections::BTreeMap::new(); problem.groups.len()],
            slots: problem
                .groups
                .iter()
                .map(|group| (0..group.bears).map(|_| Reverse(0)).collect())
                .collect(),
            moves: 0,
        };
        for (rank, host) in order.iter().enumerate() {
            attempt.rank[*host] = rank;
        }
        for (id, instance) in problem.instances.iter().enumerate() {
            attempt.free[instance.host] -= instance.size;
            attempt.on[instance.host].push(id);
            if let Some(group) = instance.group {
                *attempt.members[group].entry(instance.host).or_default() += 1;
            }
        }
        attempt
    }

    /// Begins with a host if all that is on it has a place; returns when it will be done.
    fn begin(&mut self, host: usize, now: u64) -> Option<u64> {
        let load: u32 = self.on[host].iter().map(|id| self.problem.instances[*id].size).sum();
        let room: u32 =
            (0..self.free.len()).filter(|at| *at != host && !self.out[*at]).map(|at| self.free[at]).sum();
        if load > room {
            return None;
        }
        let mut leaving = self.on[host].clone();
        leaving.sort_by_key(|id| Reverse(self.problem.instances[*id].size));
        self.out[host] = true;
        let mut placed: Vec<(usize, usize)> = Vec::with_capacity(leaving.len());
        for id in leaving {
            let Some(to) = self.place(id) else {
                for (id, to) in placed {
                    self.put(id, to, host);
                }
                self.out[host] = false;
                return None;
            };
            self.put(id, host, to);
            placed.push((id, to));
        }
        self.on[host].clear();
        let mut empty = now;
        for (id, to) in placed {
            self.at[id] = to;
            self.on[to].push(id);
            self.moves += 1;
            let begins = match self.problem.instances[id].group {
                None => now,
                Some(group) => {
                    let Reverse(from) = self.slots[group].pop()?;
                    let begins = from.max(now);
                    let back = begins + self.problem.moving + self.problem.groups[group].recovery;
                    self.slots[group].push(Reverse(back));
                    begins
                }
            };
            empty = empty.max(begins + self.problem.moving);
        }
        Some(empty + self.problem.hosts[host].work)
    }

    fn end(&mut self, host: usize) {
        self.out[host] = false;
        self.done[host] = true;
    }

    /// Moves an instance's claims.
    fn put(&mut self, id: usize, from: usize, to: usize) {
        let Instance { size, group, .. } = self.problem.instances[id];
        self.free[from] += size;
        self.free[to] -= size;
        if let Some(group) = group {
            let members = &mut self.members[group];
            *members.entry(to).or_default() += 1;
            if let Some(there) = members.get_mut(&from) {
                *there -= 1;
                if *there == 0 {
                    members.remove(&from);
                }
            }
        }
    }

    /// The best host for an instance: one that is done, the fullest first; else the one whose turn comes last.
    fn place(&self, id: usize) -> Option<usize> {
        let Instance { size, group, .. } = self.problem.instances[id];
        let fits = |host: &usize| {
            let apart = group.filter(|group| self.problem.groups[*group].apart);
            !self.out[*host]
                && self.free[*host] >= size
                && apart.is_none_or(|group| !self.members[group].contains_key(host))
        };
        let better = |a: &usize, b: &usize| match (self.done[*a], self.done[*b]) {
            (true, true) => self.free[*a].cmp(&self.free[*b]),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.rank[*b].cmp(&self.rank[*a]),
        };
        (0..self.problem.hosts.len()).filter(fits).min_by(better)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(works: &[u64], at_once: usize) -> Problem {
        let hosts = works.iter().map(|work| Host { size: 2, work: *work }).collect();
        Problem { hosts, at_once, moving: 10, ..Problem::default() }
    }

    fn instance(host: usize, group: Option<usize>) -> Instance {
        Instance { host, size: 1, group }
    }

    fn check(problem: &Problem, makespan: u64, moves: u64) {
        let found = plan(problem, 200);
        assert_eq!(found, Some(Plan { makespan, moves }));
        assert!(bound(problem) <= makespan);
    }

    #[test]
    fn what_is_longest_comes_first_and_slots_are_used() {
        check(&problem(&[100, 30, 40, 30], 2), 100, 0);
        check(&problem(&[100, 30, 40, 30], 1), 200, 0);
    }

    #[test]
    fn instances_move_once_where_there_is_an_empty_host_and_groups_wait_for_themselves() {
        let mut three = problem(&[100, 100, 100], 2);
        three.instances = vec![instance(1, None), instance(1, None), instance(2, None), instance(2, None)];
        // The empty one first; then each onto the one before it.
        check(&three, 320, 4);
        three.instances = vec![instance(1, Some(0)), instance(1, Some(0))];
        three.groups = vec![Group { bears: 1, recovery: 50, apart: false }];
        // Moves of 10, and 50 to recover in between: that host takes 170, and comes after the two others. If it came first,
        // its instances would have to leave one of them again.
        check(&three, 270, 2);
    }

    #[test]
    fn there_is_no_plan_without_room() {
        let mut full = problem(&[1, 1], 1);
        full.instances = vec![instance(0, None), instance(0, None), instance(1, None), instance(1, None)];
        assert_eq!(plan(&full, 10), None);
    }
}
