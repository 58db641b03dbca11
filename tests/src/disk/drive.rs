//! The disk itself: requests in, answers out, faults in between. It knows no kernel.

use super::calls::{Call, Fault, Kind, Which};
use super::chance::Chance;
use super::tree::Tree;
use super::wire::{Answer, Attributes, Caching, Errno, Names, Op, Request};

/// How large the disk says it is, if it has no limit.
const ENDLESS: u64 = 1 << 40;

/// A disk that has power.
pub(super) struct Drive {
    pub(super) tree: Tree,
    pub(super) caching: Caching,
    /// Every call so far.
    pub(super) calls: Vec<Call>,
    pub(super) faults: Vec<(Which, Fault)>,
    /// Most bytes that all files may have.
    pub(super) limit: Option<u64>,
    /// What is left, once the power was lost.
    pub(super) left: Option<Tree>,
}

impl Drive {
    pub(super) fn new(tree: Tree, caching: Caching) -> Drive {
        Drive { tree, caching, calls: Vec::new(), faults: Vec::new(), limit: None, left: None }
    }

    /// Loses power, unless it has none.
    pub(super) fn cut(&mut self, seed: u64) -> &Tree {
        let survivor = || self.tree.survivor(&mut Chance::new(seed));
        self.left.get_or_insert_with(survivor)
    }

    /// Does what is requested; `None` if there is nothing to answer, or nobody to answer it.
    pub(super) fn handle(&mut self, request: &Request<'_>) -> Option<Answer> {
        if self.left.is_some() || request.op == Op::Forget {
            return None;
        }
        let call = self.call(request);
        let fault = call.and_then(|call| {
            let index = self.calls.len();
            let fault = self.faults.iter().find(|(which, _)| which.holds(index, &call));
            let fault = fault.map(|(_, fault)| *fault);
            self.calls.push(call);
            fault
        });
        let done = match fault {
            None => self.perform(request),
            Some(Fault::Error(errno)) => self.fail(request, errno),
            Some(Fault::Lie) => Ok(Answer::Done),
            Some(Fault::Short) => self.perform(&shortened(request)),
            Some(Fault::Cut(seed)) => {
                // A sync that does not return has perhaps synced, which is as if the disk had written by itself.
                if !matches!(request.op, Op::Sync | Op::SyncDir) {
                    // What cannot be done does not matter any more.
                    drop(self.perform(request));
                }
                self.cut(seed);
                return None;
            }
        };
        Some(done.unwrap_or_else(Answer::Error))
    }

    /// Which call a request is, if it is one.
    fn call(&self, request: &Request<'_>) -> Option<Call> {
        let (kind, name) = match request.op {
            Op::Open => (Kind::Open, None),
            Op::Read { .. } => (Kind::Read, None),
            Op::Write { .. } => (Kind::Write, None),
            Op::Set(Some(_)) => (Kind::Resize, None),
            Op::Sync => (Kind::Sync, None),
            Op::SyncDir => (Kind::SyncDir, None),
            Op::Create { name, .. } => (Kind::Create, Some(name)),
            Op::MakeDir(name) => (Kind::MakeDir, Some(name)),
            Op::Remove(name) | Op::RemoveDir(name) => (Kind::Remove, Some(name)),
            Op::Rename { to_dir, to_name, .. } => {
                return Some(Call { kind: Kind::Rename, path: self.tree.path_in(to_dir, to_name) });
            }
            Op::Hello
            | Op::Lookup(_)
            | Op::Attributes
            | Op::Set(None)
            | Op::OpenDir
            | Op::ReadDir { .. }
            | Op::Space
            | Op::Release
            | Op::Forget
            | Op::Unknown => return None,
        };
        let path = match name {
            Some(name) => self.tree.path_in(request.node, name),
            None => self.tree.path(request.node).to_owned(),
        };
        Some(Call { kind, path })
    }

    fn fail(&mut self, request: &Request<'_>, errno: Errno) -> Result<Answer, Errno> {
        match request.op {
            Op::Sync => self.tree.file(request.node)?.lose(),
            Op::SyncDir => self.tree.lose_names(request.node),
            _ => {}
        }
        Err(errno)
    }

    fn perform(&mut self, request: &Request<'_>) -> Result<Answer, Errno> {
        let (node, tree) = (request.node, &mut self.tree);
        Ok(match request.op {
            Op::Hello => Answer::Hello,
            Op::Lookup(name) => Answer::Entry(tree.lookup(node, name)?),
            Op::Attributes | Op::Set(None) => Answer::Attributes(tree.attributes(node)?),
            Op::Set(Some(len)) => {
                self.make_room(node, len)?;
                self.tree.file(node)?.resize(len);
                Answer::Attributes(self.tree.attributes(node)?)
            }
            Op::MakeDir(name) => Answer::Entry(tree.make_dir(node, name)?),
            Op::Create { name, open: false } => Answer::Entry(tree.create(node, name)?),
            Op::Create { name, open: true } => Answer::Created(tree.create(node, name)?, self.caching),
            Op::Remove(name) => tree.remove(node, name).map(|()| Answer::Done)?,
            Op::RemoveDir(name) => tree.remove_dir(node, name).map(|()| Answer::Done)?,
            Op::Rename { name, to_dir, to_name } => {
                tree.rename(node, name, to_dir, to_name).map(|()| Answer::Done)?
            }
            Op::Open => Answer::Opened(self.caching),
            Op::OpenDir => Answer::Opened(Caching::None),
            Op::Read { at, len } => Answer::Bytes(tree.file(node)?.read(at, len).to_vec()),
            Op::ReadDir { from, len } => self.names(node, from, len)?,
            Op::Write { at, bytes } => {
                self.make_room(node, at + bytes.len() as u64)?;
                self.tree.file(node)?.write(at, bytes);
                Answer::Written(bytes.len())
            }
            Op::Sync => {
                tree.file(node)?.sync();
                Answer::Done
            }
            Op::SyncDir => tree.sync_dir(node).map(|()| Answer::Done)?,
            Op::Space => {
                let all = self.limit.unwrap_or(ENDLESS);
                Answer::Space { all, free: all.saturating_sub(tree.used()) }
            }
            Op::Release => Answer::Done,
            Op::Forget | Op::Unknown => return Err(Errno::NOT_IMPLEMENTED),
        })
    }

    /// Whether the file may have that length.
    fn make_room(&mut self, node: u64, len: u64) -> Result<(), Errno> {
        let grows = len.saturating_sub(self.tree.file(node)?.len());
        match self.limit {
            Some(limit) if grows > 0 && self.tree.used() + grows > limit => Err(Errno::FULL),
            Some(_) | None => Ok(()),
        }
    }

    fn names(&self, dir: u64, from: u64, len: usize) -> Result<Answer, Errno> {
        let here = Attributes { node: dir, is_dir: true, len: 0 };
        let dots = [".", ".."].map(|name| (name.to_owned(), here));
        let all = dots.into_iter().chain(self.tree.names(dir, 0)?);
        let mut names = Names::new(len);
        for (index, (name, of)) in (0..).zip(all).skip(from as usize) {
            if !names.add(&name, of, index + 1) {
                break;
            }
        }
        Ok(Answer::Names(names))
    }
}

/// The same, if it is a write of fewer bytes; at least one, since none would be no progress.
fn shortened<'a>(request: &Request<'a>) -> Request<'a> {
    match request.op {
        Op::Write { at, bytes } => {
            Request { op: Op::Write { at, bytes: &bytes[..bytes.len().div_ceil(2)] }, ..*request }
        }
        _ => *request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tree::ROOT;

    fn ask(drive: &mut Drive, node: u64, op: Op<'_>) -> Option<Answer> {
        drive.handle(&Request { unique: 1, node, op })
    }

    /// A disk with one file, and its node.
    fn with_file() -> (Drive, u64) {
        let mut drive = Drive::new(Tree::new(), Caching::None);
        ask(&mut drive, ROOT, Op::Create { name: "a", open: false });
        let node = drive.tree.lookup(ROOT, "a").unwrap().node;
        (drive, node)
    }

    #[test]
    fn the_call_of_an_index_fails_and_those_beside_it_do_not() {
        let (mut drive, node) = with_file();
        drive.faults.push((Which::At(2), Fault::Error(Errno::IO)));
        let mut write = || ask(&mut drive, node, Op::Write { at: 0, bytes: b"x" }).unwrap();
        assert_eq!(write(), Answer::Written(1));
        assert_eq!(write(), Answer::Error(Errno::IO));
        assert_eq!(write(), Answer::Written(1));
        let write = Call { kind: Kind::Write, path: "a".into() };
        assert_eq!(drive.calls[1..], [write.clone(), write.clone(), write]);
    }

    #[test]
    fn a_short_write_takes_a_part() {
        let (mut drive, node) = with_file();
        drive.faults.push((Which::every(Kind::Write, "a"), Fault::Short));
        assert_eq!(ask(&mut drive, node, Op::Write { at: 0, bytes: b"abc" }), Some(Answer::Written(2)));
        assert_eq!(ask(&mut drive, node, Op::Write { at: 2, bytes: b"c" }), Some(Answer::Written(1)));
        assert_eq!(drive.tree.file(node).unwrap().read(0, 9), b"abc");
    }

    #[test]
    fn a_full_disk_takes_what_replaces_something() {
        let (mut drive, node) = with_file();
        drive.limit = Some(10);
        let mut write = |at, bytes| ask(&mut drive, node, Op::Write { at, bytes }).unwrap();
        assert_eq!(write(0, &[1; 8]), Answer::Written(8));
        assert_eq!(write(8, &[1; 8]), Answer::Error(Errno::FULL));
        assert_eq!(write(0, &[2; 10]), Answer::Written(10));
        ask(&mut drive, ROOT, Op::Remove("a"));
        assert_eq!(ask(&mut drive, ROOT, Op::Space), Some(Answer::Space { all: 10, free: 10 }));
    }

    #[test]
    fn a_disk_without_power_answers_nothing() {
        let (mut drive, node) = with_file();
        drive.faults.push((Which::At(1), Fault::Cut(3)));
        assert_eq!(ask(&mut drive, node, Op::Write { at: 0, bytes: b"x" }), None);
        assert_eq!(ask(&mut drive, node, Op::Attributes), None);
        assert!(drive.left.is_some());
    }
}
