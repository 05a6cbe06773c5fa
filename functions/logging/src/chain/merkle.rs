//! Merkle trees (RFC 6962, section 2.1): the root over a list of leaves, the proof that a leaf is in it, and the
//! check of such a proof.

use super::{Hash, sha256};

/// The hash of a leaf.
pub fn leaf(data: &[u8]) -> Hash {
    sha256(&[&[0], data])
}

fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The greatest power of two below `count`, which is two or more.
fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// The root over leaf hashes; that of no leaf is the hash of nothing.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(split(many.len()));
            node(&root(left), &root(right))
        }
    }
}

/// The audit path of the leaf at `index`: the hashes that are missing on the way to the root, lowest first. Empty if
/// there is no such leaf.
pub fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if index >= leaves.len() || leaves.len() < 2 {
        return Vec::new();
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut path, sibling) = if index < at {
        (self::path(index, left), root(right))
    } else {
        (self::path(index - at, right), root(left))
    };
    path.push(sibling);
    path
}

/// Whether the path leads from the leaf at `index` to the root of a tree of `size` leaves (RFC 9162, 2.1.3.2).
pub fn holds(leaf: &Hash, index: usize, size: usize, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            hash = node(sibling, &hash);
            while at.is_multiple_of(2) && at != 0 {
                at /= 2;
                last /= 2;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at /= 2;
        last /= 2;
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;
    use crate::chain::hex;

    /// The leaves of the reference implementation's tests of RFC 6962.
    fn leaves() -> Vec<Hash> {
        let data = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        data.iter().map(|data| leaf(&HEXLOWER.decode(data.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn roots_are_those_of_rfc_6962() {
        let expected = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        for (size, expected) in expected.iter().enumerate() {
            assert_eq!(hex(&root(&leaves()[..size])), *expected, "{size}");
        }
    }

    #[test]
    fn paths_are_those_of_rfc_6962() {
        let shown = |index: usize, size: usize| {
            path(index, &leaves()[..size]).iter().map(|hash| hex(hash)).collect::<Vec<_>>()
        };
        assert_eq!(shown(0, 1), Vec::<String>::new());
        assert_eq!(
            shown(0, 8),
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        );
        assert_eq!(shown(2, 3), ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]);
    }

    #[test]
    fn a_path_holds_for_its_leaf_place_and_tree_alone() {
        let all: Vec<Hash> = (0_u8..70).map(|n| leaf(&[n])).collect();
        for size in 1..all.len() {
            let (leaves, root) = (&all[..size], root(&all[..size]));
            for index in 0..size {
                let path = path(index, leaves);
                assert!(holds(&leaves[index], index, size, &path, &root), "{index} of {size}");
                let mut bent = leaves[index];
                bent[31] ^= 1;
                assert!(!holds(&bent, index, size, &path, &root));
                assert!(!holds(&leaves[index], size, size, &path, &root));
                let mut longer = path.clone();
                longer.push(root);
                assert!(!holds(&leaves[index], index, size, &longer, &root));
                if let Some((_, shorter)) = path.split_last() {
                    assert!(!holds(&leaves[index], index, size, shorter, &root));
                }
            }
        }
    }
}
