import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.apache.hadoop.yarn.api.ApplicationMasterProtocol;
import org.apache.hadoop.yarn.api.protocolrecords.FinishApplicationMasterRequest;
import org.apache.hadoop.yarn.api.protocolrecords.RegisterApplicationMasterRequest;
import org.apache.hadoop.yarn.api.records.FinalApplicationStatus;
import org.apache.hadoop.yarn.client.ClientRMProxy;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.exceptions.ApplicationMasterNotRegisteredException;
import org.apache.hadoop.yarn.exceptions.InvalidApplicationMasterRequestException;

/**
 * An application that is its master alone. It tells the resource manager that it runs, leaves its
 * mark, a line in a file, and tells that it has finished. What it tells goes to whichever manager leads.
 */
public class Mark {
    public static void main(String[] args) throws Exception {
        ApplicationMasterProtocol manager =
            ClientRMProxy.createRMProxy(new YarnConfiguration(), ApplicationMasterProtocol.class);
        register(manager);
        Files.writeString(Path.of(args[0]), args[1] + "\n", StandardOpenOption.APPEND, StandardOpenOption.DSYNC);
        FinishApplicationMasterRequest finish =
            FinishApplicationMasterRequest.newInstance(FinalApplicationStatus.SUCCEEDED, "", "");
        while (true) {
            try {
                if (manager.finishApplicationMaster(finish).getIsUnregistered()) {
                    System.exit(0);
                }
                Thread.sleep(100);
            } catch (ApplicationMasterNotRegisteredException e) { // another manager leads
                register(manager);
            }
        }
    }

    private static void register(ApplicationMasterProtocol manager) throws Exception {
        try {
            manager.registerApplicationMaster(RegisterApplicationMasterRequest.newInstance("", -1, ""));
        } catch (InvalidApplicationMasterRequestException e) {
            // The first request was taken, though its answer was lost.
        }
    }
}
