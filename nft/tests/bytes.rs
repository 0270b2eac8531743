//! The bytes of messages, as the kernel's headers and a listing of the program `nft` had them.
#![allow(clippy::unwrap_used, reason = "a test")]
use nft::{Batch, CtKey, Direction, Element, Expr, Family, Hook, HookPoint, Policy, Reject, SetSpec, Table, Type};

fn check(name: &str, build: impl FnOnce(&mut Batch, &Table), expected: &str) {
    let mut batch = Batch::new();
    build(&mut batch, &Table::new(Family::Inet, "t"));
    let got: Vec<_> = batch.bytes().chunks(4).map(hex).collect();
    let expected: Vec<_> = expected.split_whitespace().collect();
    assert_eq!(got, expected, "{name}: {}", got.join(" "));
}

fn hex(four: &[u8]) -> String {
    four.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn messages() {
    if cfg!(target_endian = "big") {
        return;
    }
    check(
        "a table",
        |batch, table| {
            batch.add_table(table);
        },
        "1c000000 000a0104 00000000 00000000 01000000 06000100 74000000",
    );
    check(
        "a base chain",
        |batch, table| {
            let hook = Hook { point: HookPoint::Input, priority: -1, policy: Policy::Drop };
            batch.add_base_chain(table, "in", &hook);
        },
        "4c000000 030a0104 00000000 00000000 01000000 06000100 74000000 07000300 696e0000 14000480 08000100 00000001 \
         08000200 ffffffff 08000500 00000000 0b000700 66696c74 65720000",
    );
    check(
        "a set",
        |batch, table| {
            batch.add_set(table, &SetSpec::ranges("s", Type::Ipv4, Type::Mark));
        },
        "64000000 090a0104 00000000 00000000 01000000 06000100 74000000 06000200 73000000 08000300 0000000c 08000400 \
         00000007 08000500 00000004 08000600 00000013 08000700 00000004 08000a00 00000001 10000d00 00040200 00000104 \
         01000000",
    );
    check(
        "elements",
        |batch, table| {
            let all = Element::range(&[10, 0, 0, 0], &[10, 0, 0, 255], Some(&[1, 0, 0, 0]));
            batch.add_elements(table, "s", &all);
        },
        "5c000000 0c0a0104 00000000 00000000 01000000 06000100 74000000 06000200 73000000 38000380 1c000180 0c000180 \
         08000100 0a000000 0c000280 08000100 01000000 18000180 08000300 00000001 0c000180 08000100 0a000100",
    );
    check(
        "a rule",
        |batch, table| {
            let rule = [Expr::Ct(CtKey::Protocol, Some(Direction::Original), 0), Expr::Reject(Reject::TcpReset)];
            batch.add_rule(table, "c", &rule);
        },
        "6c000000 060a010c 00000000 00000000 01000000 06000100 74000000 06000200 63000000 48000480 28000180 07000100 \
         63740000 1c000280 08000100 00000008 08000200 0000000a 05000300 00000000 1c000180 0b000100 72656a65 63740000 \
         0c000280 08000100 00000001",
    );
}
