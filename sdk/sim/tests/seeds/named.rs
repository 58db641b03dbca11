//! What once went wrong does not go wrong again: scenarios that showed a fault, in the files of `named/`.

use std::path::Path;

use fenix_sim::named::Named;

use crate::{components, run};

#[test]
fn what_once_went_wrong_does_not_go_wrong_again() {
    let components = components();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds/named");
    let mut known = 0;
    for file in std::fs::read_dir(files).unwrap() {
        let path = file.unwrap().path();
        let named = Named::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let report = run(&named.scenario, &components);
        assert!(report.violations.is_empty(), "{}: {}\n{report}", path.display(), named.what);
        assert!(
            report.stats.calls + report.stats.actions > 0,
            "{}: nothing happens in it any more",
            path.display()
        );
        known += 1;
    }
    assert!(known > 0);
}
