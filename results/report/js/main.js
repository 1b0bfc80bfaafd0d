// The report starts.
startTheme();
startRange();
startPlots([...reportPlots(), ...lagPlots()]);
startProofs();
startCopy();
startOperations();
startTrace().finally(markScrollers);
