use super::*;

#[test]
fn nothing_is_allowed_where_no_policy_is_written() {
    assert!(Policy::default().is_missing());
    assert_eq!(Policy::default().check(), Ok(()));
}
