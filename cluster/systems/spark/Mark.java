import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A driver that leaves its mark: it appends its name to a file. */
public class Mark {
    public static void main(String[] args) throws Exception {
        Files.writeString(Path.of(args[0]), args[1] + "\n", StandardOpenOption.APPEND, StandardOpenOption.DSYNC);
    }
}
