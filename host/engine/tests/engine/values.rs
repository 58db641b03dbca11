//! What the actions of a session keep for each other.

use fenix_core::values::{MAX_KEY, MAX_VALUE, MAX_VALUES};
use fenix_engine::command::{Answer, Command, CommandError};

use crate::harness::World;

fn keep(plugin: &str, key: &str, value: Option<&str>) -> Command {
    Command::KeepValue {
        session: "s".into(),
        plugin: plugin.to_owned(),
        key: key.to_owned(),
        value: value.map(str::to_owned),
    }
}

fn value<'a>(world: &'a World, plugin: &str, key: &str) -> Option<&'a str> {
    world.session().values.get(plugin)?.get(key).map(String::as_str)
}

#[test]
fn a_value_is_kept_by_plug_in_through_a_restart_until_it_is_forgotten() {
    let mut world = World::opened();
    assert_eq!(world.command(keep("x", "k", Some("1"))), Ok(Answer::Done));
    assert_eq!(world.command(keep("x", "k", Some("1"))), Ok(Answer::Idle));
    assert_eq!(world.command(keep("y", "k", Some("2"))), Ok(Answer::Done));
    world.restart();
    assert_eq!((value(&world, "x", "k"), value(&world, "y", "k")), (Some("1"), Some("2")));
    assert_eq!(world.command(keep("x", "k", None)), Ok(Answer::Done));
    assert_eq!(world.command(keep("x", "k", None)), Ok(Answer::Idle));
    assert_eq!((value(&world, "x", "k"), value(&world, "y", "k")), (None, Some("2")));
}

#[test]
fn what_cannot_be_kept_is_refused_by_name() {
    let mut world = World::opened();
    let check = |world: &mut World, key: &str, value: &str, expected: &str| {
        let error = world.command(keep("x", key, Some(value))).unwrap_err();
        assert!(
            matches!(&error, CommandError::NoValue { .. }) && error.to_string().contains(expected),
            "{error}"
        );
    };
    check(&mut world, "", "v", "a key has 1 to");
    check(&mut world, &"k".repeat(MAX_KEY + 1), "v", "a key has 1 to");
    check(&mut world, "k", &"v".repeat(MAX_VALUE + 1), "a value has at most");
    for number in 0..MAX_VALUES {
        assert_eq!(world.command(keep("x", &number.to_string(), Some("v"))), Ok(Answer::Done));
    }
    check(&mut world, "one more", "v", "keeps at most");
    assert_eq!(world.command(keep("x", "0", Some("w"))), Ok(Answer::Done), "one that is there may change");
    assert_eq!(world.command(keep("y", "0", Some("w"))), Ok(Answer::Done), "another plug-in's do not count");
    let gone = Command::KeepValue { session: "t".into(), plugin: "x".into(), key: "k".into(), value: None };
    assert_eq!(world.command(gone), Err(CommandError::NoSession("t".into())));
}
