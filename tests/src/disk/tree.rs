//! Files and directories: what programs see, and what of it a loss of power leaves.
//!
//! A name is durable when its directory was synced, a file's bytes when the file was: neither makes the other so. A
//! renaming is there or not, never half, as on every file system that one would keep a journal on.

use std::collections::{BTreeMap, BTreeSet};

use super::chance::Chance;
use super::file::File;
use super::wire::{Attributes, Errno};

/// The node that the mount shows.
pub(super) const ROOT: u64 = 1;

/// What is on the disk.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<u64, Node>,
    /// What was done to names and is not synced, in order.
    unsynced: Vec<Naming>,
}

#[derive(Clone, Debug)]
struct Node {
    /// Where it was first: names are told to people only.
    path: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    File(File),
    Dir(Dir),
}

#[derive(Clone, Debug, Default)]
struct Dir {
    seen: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
}

/// Names that change together: in which directory, which name, and for what it stands from now on.
#[derive(Clone, Debug)]
struct Naming(Vec<(u64, String, Option<u64>)>);

impl Tree {
    pub(super) fn new() -> Tree {
        let root = Node { path: String::new(), kind: Kind::Dir(Dir::default()) };
        Tree { nodes: BTreeMap::from([(ROOT, root)]), unsynced: Vec::new() }
    }

    /// The path of a node, from the mount's root; of one that was renamed, its newest.
    pub(super) fn path(&self, node: u64) -> &str {
        self.nodes.get(&node).map_or("", |node| &node.path)
    }

    /// The path that a name in a directory has.
    pub(super) fn path_in(&self, dir: u64, name: &str) -> String {
        let parent = self.path(dir);
        if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
    }

    /// Bytes of all files that have a name.
    pub(super) fn used(&self) -> u64 {
        let named: BTreeSet<u64> = self.dirs().flat_map(|dir| dir.seen.values().copied()).collect();
        self.nodes.iter().filter(|(id, _)| named.contains(id)).map(|(_, node)| node.len()).sum()
    }

    fn dirs(&self) -> impl Iterator<Item = &Dir> {
        self.nodes.values().filter_map(|node| match &node.kind {
            Kind::Dir(dir) => Some(dir),
            Kind::File(_) => None,
        })
    }

    pub(super) fn attributes(&self, node: u64) -> Result<Attributes, Errno> {
        let of = self.nodes.get(&node).ok_or(Errno::MISSING)?;
        Ok(Attributes { node, is_dir: matches!(of.kind, Kind::Dir(_)), len: of.len() })
    }

    pub(super) fn lookup(&self, dir: u64, name: &str) -> Result<Attributes, Errno> {
        self.attributes(*self.dir(dir)?.seen.get(name).ok_or(Errno::MISSING)?)
    }

    /// The names in a directory from the `from`th on.
    pub(super) fn names(&self, dir: u64, from: u64) -> Result<Vec<(String, Attributes)>, Errno> {
        let names = self.dir(dir)?.seen.iter().skip(from as usize);
        names.map(|(name, node)| Ok((name.clone(), self.attributes(*node)?))).collect()
    }

    pub(super) fn file(&mut self, node: u64) -> Result<&mut File, Errno> {
        match &mut self.nodes.get_mut(&node).ok_or(Errno::MISSING)?.kind {
            Kind::File(file) => Ok(file),
            Kind::Dir(_) => Err(Errno::DIRECTORY),
        }
    }

    pub(super) fn create(&mut self, dir: u64, name: &str) -> Result<Attributes, Errno> {
        self.add(dir, name, Kind::File(File::default()))
    }

    pub(super) fn make_dir(&mut self, dir: u64, name: &str) -> Result<Attributes, Errno> {
        self.add(dir, name, Kind::Dir(Dir::default()))
    }

    fn add(&mut self, dir: u64, name: &str, kind: Kind) -> Result<Attributes, Errno> {
        if self.dir(dir)?.seen.contains_key(name) {
            return Err(Errno::EXISTS);
        }
        let node = self.nodes.last_key_value().map_or(ROOT, |(last, _)| *last) + 1;
        self.nodes.insert(node, Node { path: self.path_in(dir, name), kind });
        self.change(vec![(dir, name.to_owned(), Some(node))])?;
        self.attributes(node)
    }

    pub(super) fn remove(&mut self, dir: u64, name: &str) -> Result<(), Errno> {
        if self.lookup(dir, name)?.is_dir {
            return Err(Errno::DIRECTORY);
        }
        self.change(vec![(dir, name.to_owned(), None)])
    }

    pub(super) fn remove_dir(&mut self, dir: u64, name: &str) -> Result<(), Errno> {
        let node = self.lookup(dir, name)?.node;
        if !self.dir(node)?.seen.is_empty() {
            return Err(Errno::NOT_EMPTY);
        }
        self.change(vec![(dir, name.to_owned(), None)])
    }

    pub(super) fn rename(&mut self, dir: u64, name: &str, to_dir: u64, to_name: &str) -> Result<(), Errno> {
        let moved = self.lookup(dir, name)?.node;
        match self.lookup(to_dir, to_name) {
            Ok(there) if there.is_dir && !self.dir(there.node)?.seen.is_empty() => {
                return Err(Errno::NOT_EMPTY);
            }
            Ok(_) | Err(_) => {}
        }
        let (from, to) = (self.path(moved).to_owned(), self.path_in(to_dir, to_name));
        for node in self.nodes.values_mut() {
            let rest = node.path.strip_prefix(&from).filter(|rest| rest.is_empty() || rest.starts_with('/'));
            if let Some(rest) = rest {
                node.path = format!("{to}{rest}");
            }
        }
        self.change(vec![(dir, name.to_owned(), None), (to_dir, to_name.to_owned(), Some(moved))])
    }

    /// All names in the directory are durable, and what changed together with them.
    pub(super) fn sync_dir(&mut self, node: u64) -> Result<(), Errno> {
        self.dir(node)?;
        let touches = |naming: &Naming| naming.0.iter().any(|(dir, _, _)| *dir == node);
        let (now, later) = std::mem::take(&mut self.unsynced).into_iter().partition(touches);
        self.unsynced = later;
        now.iter().for_each(|naming: &Naming| self.make_durable(naming));
        Ok(())
    }

    /// A sync of a directory failed: its names are seen, but no later sync makes them durable.
    pub(super) fn lose_names(&mut self, node: u64) {
        self.unsynced.retain(|naming| naming.0.iter().all(|(dir, _, _)| *dir != node));
    }

    /// What is there after a loss of power: what is durable, and of the rest what chance wants.
    pub(super) fn survivor(&self, chance: &mut Chance) -> Tree {
        let mut left = self.clone();
        // No change of a name, few, half, most, or all of them.
        let odds = chance.below(5);
        for naming in std::mem::take(&mut left.unsynced) {
            if chance.holds(odds, 4) {
                left.make_durable(&naming);
            }
        }
        for node in left.nodes.values_mut() {
            match &mut node.kind {
                Kind::File(file) => *file = file.survivor(chance),
                Kind::Dir(dir) => dir.seen.clone_from(&dir.durable),
            }
        }
        left
    }

    fn dir(&self, node: u64) -> Result<&Dir, Errno> {
        match &self.nodes.get(&node).ok_or(Errno::MISSING)?.kind {
            Kind::Dir(dir) => Ok(dir),
            Kind::File(_) => Err(Errno::NO_DIRECTORY),
        }
    }

    fn dir_mut(&mut self, node: u64) -> Option<&mut Dir> {
        match &mut self.nodes.get_mut(&node)?.kind {
            Kind::Dir(dir) => Some(dir),
            Kind::File(_) => None,
        }
    }

    fn change(&mut self, names: Vec<(u64, String, Option<u64>)>) -> Result<(), Errno> {
        for (dir, name, node) in &names {
            let seen = &mut self.dir_mut(*dir).ok_or(Errno::NO_DIRECTORY)?.seen;
            set(seen, name, *node);
        }
        self.unsynced.push(Naming(names));
        Ok(())
    }

    fn make_durable(&mut self, naming: &Naming) {
        for (dir, name, node) in &naming.0 {
            if let Some(dir) = self.dir_mut(*dir) {
                set(&mut dir.durable, name, *node);
            }
        }
    }
}

impl Node {
    fn len(&self) -> u64 {
        match &self.kind {
            Kind::File(file) => file.len(),
            Kind::Dir(_) => 0,
        }
    }
}

fn set(names: &mut BTreeMap<String, u64>, name: &str, node: Option<u64>) {
    match node {
        Some(node) => drop(names.insert(name.to_owned(), node)),
        None => drop(names.remove(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All paths with what is in the files.
    fn listing(tree: &Tree) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![(ROOT, String::new())];
        while let Some((dir, path)) = open.pop() {
            for (name, of) in tree.names(dir, 0).unwrap() {
                let path = format!("{path}/{name}");
                match &tree.nodes[&of.node].kind {
                    Kind::Dir(_) => open.push((of.node, path)),
                    Kind::File(file) => {
                        let text = String::from_utf8_lossy(file.read(0, 99)).into_owned();
                        found.push(format!("{path}={text}"));
                    }
                }
            }
        }
        found.sort();
        found
    }

    /// What all cuts leave, without repeats.
    fn left(tree: &Tree) -> BTreeSet<Vec<String>> {
        (0..200).map(|seed| listing(&tree.survivor(&mut Chance::new(seed)))).collect()
    }

    fn write(tree: &mut Tree, dir: u64, name: &str, text: &str) -> u64 {
        let node = tree.create(dir, name).unwrap().node;
        tree.file(node).unwrap().write(0, text.as_bytes());
        node
    }

    #[track_caller]
    fn check(tree: &Tree, wanted: &[&[&str]]) {
        let wanted = wanted.iter().map(|list| list.iter().map(|text| (*text).to_owned()).collect()).collect();
        assert_eq!(left(tree), wanted);
    }

    #[test]
    fn a_file_is_there_when_its_bytes_and_its_name_are_synced() {
        let mut tree = Tree::new();
        let node = write(&mut tree, ROOT, "a", "x");
        check(&tree, &[&[], &["/a="], &["/a=x"], &["/a=\0"]]);
        tree.file(node).unwrap().sync();
        check(&tree, &[&[], &["/a=x"]]);
        tree.sync_dir(ROOT).unwrap();
        check(&tree, &[&["/a=x"]]);
    }

    #[test]
    fn a_renaming_is_there_or_not() {
        let mut tree = Tree::new();
        for (name, text) in [("a", "old"), ("a.tmp", "new")] {
            let node = write(&mut tree, ROOT, name, text);
            tree.file(node).unwrap().sync();
        }
        tree.sync_dir(ROOT).unwrap();
        tree.rename(ROOT, "a.tmp", ROOT, "a").unwrap();
        assert_eq!(listing(&tree), ["/a=new"]);
        check(&tree, &[&["/a.tmp=new", "/a=old"], &["/a=new"]]);
        tree.sync_dir(ROOT).unwrap();
        check(&tree, &[&["/a=new"]]);
    }

    #[test]
    fn what_is_removed_may_come_back_until_the_directory_is_synced() {
        let mut tree = Tree::new();
        let dir = tree.make_dir(ROOT, "d").unwrap().node;
        write(&mut tree, dir, "a", "");
        tree.sync_dir(ROOT).unwrap();
        tree.sync_dir(dir).unwrap();
        assert_eq!(tree.remove_dir(ROOT, "d"), Err(Errno::NOT_EMPTY));
        tree.remove(dir, "a").unwrap();
        check(&tree, &[&[], &["/d/a="]]);
        tree.sync_dir(dir).unwrap();
        check(&tree, &[&[]]);
    }

    #[test]
    fn names_in_a_directory_whose_own_name_is_lost_are_lost() {
        let mut tree = Tree::new();
        let dir = tree.make_dir(ROOT, "d").unwrap().node;
        write(&mut tree, dir, "a", "");
        tree.sync_dir(dir).unwrap();
        check(&tree, &[&[], &["/d/a="]]);
    }

    #[test]
    fn paths_follow_renamings() {
        let mut tree = Tree::new();
        let dir = tree.make_dir(ROOT, "d.new").unwrap().node;
        let file = write(&mut tree, dir, "a", "xyz");
        tree.rename(ROOT, "d.new", ROOT, "d").unwrap();
        assert_eq!((tree.path(dir), tree.path(file)), ("d", "d/a"));
        assert_eq!(tree.used(), 3);
    }
}
