// The faults' rows: those that overlap stand one below the other.

const faultRows = (() => {
  const ends = [];
  for (const fault of page.faults) {
    let row = ends.findIndex((end) => end <= fault.from);
    if (row < 0) row = ends.length;
    ends[row] = fault.to;
    fault.row = row;
  }
  return ends.length;
})();

const faultsAt = (t) => page.faults.filter((f) => f.from <= t && t <= f.to);
