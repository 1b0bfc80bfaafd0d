// The report starts.
startTheme();
startRange();
startPlots();
startProofs();
startCopy();
startOperations();
startTrace().finally(markScrollers);
