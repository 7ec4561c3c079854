// What a confusion matrix tells: rows are right classes, columns are answers. Counts in one row after the other.

export function scores(counts, classes = 10) {
  const at = (i, j) => counts[i * classes + j], sum = (f) => Array.from({ length: classes }, (_, k) => f(k)).reduce((a, b) => a + b);
  const per = Array.from({ length: classes }, (_, k) => {
    const said = sum((i) => at(i, k)), there = sum((j) => at(k, j)), right = at(k, k);
    return { right, said, there, precision: said ? right / said : 0, recall: there ? right / there : 0 };
  });
  return { per, all: sum((k) => per[k].there), right: sum((k) => per[k].right) };
}

// The share of its row for every count, and the largest share off the diagonal, which sets the scale of color.
export function shares(counts, classes = 10) {
  const { per } = scores(counts, classes), share = Array.from(counts, (n, i) => n / (per[Math.floor(i / classes)].there || 1));
  return { share, most: Math.max(...share.filter((_, i) => Math.floor(i / classes) !== i % classes)) };
}

// Which of the pictures belong to a cell.
export const inCell = (rights, answers, right, answer) =>
  Array.from(rights.keys()).filter((n) => rights[n] === right && answers[n] === answer);
