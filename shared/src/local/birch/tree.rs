//! The tree of clustering features: each row goes down to the nearest subcluster and joins it where
//! the radius allows, or begins a new one; a node with too many is split.
//!
//! A clustering feature is a count, a sum of rows and a sum of their squared norms. Decisions, and
//! the formulas whose rounding decides, are those of scikit-learn's `Birch` on 64-bit floats.

use std::sync::atomic::AtomicBool;

use crate::local::clustering::{Points, dot};
use crate::local::stopping::{Stopped, heed};

/// Of how many rows a subcluster is, their sum, and the sum of their squared norms.
struct Subcluster {
    count: usize,
    sum: Vec<f64>,
    squares: f64,
    /// The node that holds its parts; `None` in a leaf.
    child: Option<usize>,
}

/// Subclusters with their centres, one after another, and the centres' squared norms.
struct Node {
    subclusters: Vec<Subcluster>,
    centres: Vec<f64>,
    norms: Vec<f64>,
    /// For a leaf, the next leaf.
    next: Option<usize>,
}

/// The tree of some rows.
pub(super) struct Tree {
    nodes: Vec<Node>,
    root: usize,
    columns: usize,
    squared_threshold: f64,
    branching: usize,
    leaf_subclusters: usize,
}

/// The first leaf: a leaf keeps its place when it is split.
const FIRST_LEAF: usize = 0;

impl Tree {
    /// Condenses rows in their order. `None` when that leaves more than `subclusters_max`.
    pub(super) fn build(
        rows: Points<'_>,
        threshold: f64,
        branching: usize,
        subclusters_max: usize,
        stop: &AtomicBool,
    ) -> Result<Option<Tree>, Stopped> {
        let mut tree = Tree {
            nodes: vec![Node::new()],
            root: FIRST_LEAF,
            columns: rows.columns(),
            squared_threshold: threshold * threshold,
            branching,
            leaf_subclusters: 0,
        };
        for row in rows.iter() {
            heed(stop)?;
            tree.insert(row);
            if tree.leaf_subclusters > subclusters_max {
                return Ok(None);
            }
        }
        Ok(Some(tree))
    }

    /// The centres of the leaves' subclusters, one after another.
    pub(super) fn centres(&self) -> Vec<f64> {
        let leaf = |place: usize| &self.nodes[place];
        std::iter::successors(Some(leaf(FIRST_LEAF)), |node| node.next.map(leaf))
            .flat_map(|node| node.centres.iter().copied())
            .collect()
    }

    /// Number of the leaves' subclusters.
    pub(super) fn subclusters(&self) -> usize {
        self.leaf_subclusters
    }

    fn insert(&mut self, row: &[f64]) {
        let mut path = Vec::new();
        let mut place = self.root;
        let mut nearest = self.nodes[place].nearest(row);
        while let Some(child) = nearest.and_then(|at| self.nodes[place].subclusters[at].child) {
            path.extend(nearest.map(|at| (place, at)));
            place = child;
            nearest = self.nodes[place].nearest(row);
        }
        let leaf = &mut self.nodes[place];
        if !nearest.is_some_and(|at| leaf.join(at, row, self.squared_threshold)) {
            leaf.push(Subcluster::of_row(row));
            self.leaf_subclusters += 1;
        }
        for (parent, at) in path.into_iter().rev() {
            if self.nodes[place].is_over(self.branching) {
                let (one, other) = self.split(place);
                self.nodes[parent].replace(at, one);
                self.nodes[parent].push(other);
            } else {
                self.nodes[parent].add(at, row);
            }
            place = parent;
        }
        if self.nodes[self.root].is_over(self.branching) {
            let (one, other) = self.split(self.root);
            let mut root = Node::new();
            root.push(one);
            root.push(other);
            self.root = self.nodes.len();
            self.nodes.push(root);
        }
    }

    /// Shares a node's subclusters out between itself and a new node, by which of the two farthest
    /// from each other is nearer. Returns the subclusters whose children the two nodes are.
    fn split(&mut self, place: usize) -> (Subcluster, Subcluster) {
        let node = std::mem::replace(&mut self.nodes[place], Node::new());
        let (one, other) = node.farthest();
        let new = self.nodes.len();
        let mut halves = [(Node::new(), place), (Node::new(), new)]
            .map(|(half, child)| (half, Subcluster::parent(self.columns, child)));
        let nearer: Vec<bool> = (0..node.subclusters.len())
            .map(|at| at == one || node.distance(at, one) < node.distance(at, other))
            .collect();
        for (subcluster, nearer) in node.subclusters.into_iter().zip(nearer) {
            let (half, parent) = &mut halves[usize::from(!nearer)];
            parent.add(&subcluster.sum, subcluster.count, subcluster.squares);
            half.push(subcluster);
        }
        let [(mut first, one), (mut second, other)] = halves;
        first.next = Some(new);
        second.next = node.next;
        self.nodes[place] = first;
        self.nodes.push(second);
        (one, other)
    }
}

impl Subcluster {
    fn of_row(row: &[f64]) -> Self {
        Subcluster {
            count: 1,
            sum: row.to_vec(),
            squares: dot(row, row),
            child: None,
        }
    }

    fn parent(columns: usize, child: usize) -> Self {
        Subcluster {
            count: 0,
            sum: vec![0.0; columns],
            squares: 0.0,
            child: Some(child),
        }
    }

    fn add(&mut self, sum: &[f64], count: usize, squares: f64) {
        self.count += count;
        self.squares += squares;
        for (total, x) in self.sum.iter_mut().zip(sum) {
            *total += x;
        }
    }

    fn write_centre(&self, centre: &mut [f64]) {
        for (x, sum) in centre.iter_mut().zip(&self.sum) {
            *x = sum / self.count as f64;
        }
    }
}

impl Node {
    fn new() -> Self {
        Node {
            subclusters: Vec::new(),
            centres: Vec::new(),
            norms: Vec::new(),
            next: None,
        }
    }

    fn is_over(&self, branching: usize) -> bool {
        self.subclusters.len() > branching
    }

    fn centre(&self, at: usize) -> &[f64] {
        let columns = self.subclusters[at].sum.len();
        &self.centres[at * columns..][..columns]
    }

    /// The subcluster whose centre is nearest to a row, the first of equally near ones.
    fn nearest(&self, row: &[f64]) -> Option<usize> {
        let mut nearest = None;
        let mut least = f64::INFINITY;
        let centres = self.centres.chunks_exact(row.len());
        for (at, (centre, norm)) in centres.zip(&self.norms).enumerate() {
            let distance = norm - 2.0 * dot(centre, row);
            if distance < least {
                (nearest, least) = (Some(at), distance);
            }
        }
        nearest
    }

    /// The squared distance of two centres.
    fn distance(&self, at: usize, other: usize) -> f64 {
        if at == other {
            return 0.0;
        }
        let product = dot(self.centre(at), self.centre(other));
        (self.norms[at] - 2.0 * product + self.norms[other]).max(0.0)
    }

    /// The two centres farthest from each other, the first such pair.
    fn farthest(&self) -> (usize, usize) {
        let mut farthest = (0, 0);
        let mut most = 0.0;
        for at in 0..self.subclusters.len() {
            for other in at + 1..self.subclusters.len() {
                let distance = self.distance(at, other);
                if distance > most {
                    (farthest, most) = ((at, other), distance);
                }
            }
        }
        farthest
    }

    fn push(&mut self, subcluster: Subcluster) {
        let at = self.subclusters.len();
        self.centres.resize((at + 1) * subcluster.sum.len(), 0.0);
        self.norms.push(0.0);
        self.subclusters.push(subcluster);
        self.renew(at);
    }

    fn replace(&mut self, at: usize, subcluster: Subcluster) {
        self.subclusters[at] = subcluster;
        self.renew(at);
    }

    /// Adds a row to the subcluster of which it has become a part.
    fn add(&mut self, at: usize, row: &[f64]) {
        self.subclusters[at].add(row, 1, dot(row, row));
        self.renew(at);
    }

    fn renew(&mut self, at: usize) {
        let subcluster = &self.subclusters[at];
        let columns = subcluster.sum.len();
        let centre = &mut self.centres[at * columns..][..columns];
        subcluster.write_centre(centre);
        self.norms[at] = dot(centre, centre);
    }

    /// Adds a row to a leaf's subcluster if its squared radius stays within the threshold's square.
    /// The radius: `sum |x|^2 / n - |centre|^2`.
    fn join(&mut self, at: usize, row: &[f64], squared_threshold: f64) -> bool {
        let subcluster = &mut self.subclusters[at];
        let share = 1.0 / (subcluster.count + 1) as f64;
        let centre: Vec<f64> = subcluster
            .sum
            .iter()
            .zip(row)
            .map(|(sum, x)| share * (sum + x))
            .collect();
        let (squares, norm) = (dot(row, row), dot(&centre, &centre));
        let count = (subcluster.count + 1) as f64;
        if (subcluster.squares + squares) / count - norm > squared_threshold {
            return false;
        }
        subcluster.add(row, 1, squares);
        self.centres[at * row.len()..][..row.len()].copy_from_slice(&centre);
        self.norms[at] = norm;
        true
    }
}
