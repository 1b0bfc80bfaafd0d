// The faults' rows: those that overlap stand one below the other.

let faultRows = 0;
const mostFaultRows = 40; // the last one holds what has no place of its own

function packFaults() {
  const ends = [];
  for (const fault of page.faults) {
    let row = ends.findIndex((end) => end <= fault.from);
    if (row < 0) row = Math.min(ends.length, mostFaultRows - 1);
    ends[row] = fault.to;
    fault.row = row;
  }
  faultRows = ends.length;
}

packFaults();

const faultsAt = (t) => page.faults.filter((f) => f.from <= t && t <= f.to);
