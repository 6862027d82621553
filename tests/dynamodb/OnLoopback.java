import com.amazonaws.services.dynamodbv2.local.main.ServerRunner;
import com.amazonaws.services.dynamodbv2.local.server.DynamoDBProxyServer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * DynamoDB Local as a test wants it, which its own main class cannot do: bound to the loopback
 * interface only, on a port that the system chooses, and gone once standard input is closed,
 * as it is however the process that started this one ends.
 */
public final class OnLoopback {
    public static void main(String[] options) throws Exception {
        var local = ServerRunner.createServerFromCommandLineArgs(options);
        var server = DynamoDBProxyServer.class.getDeclaredField("server");
        server.setAccessible(true);
        var connector = (ServerConnector) ((Server) server.get(local)).getConnectors()[0];
        connector.setHost("127.0.0.1");
        connector.setPort(0);
        local.start();
        System.out.println("port " + connector.getLocalPort());
        // Nobody reads standard output from here on.
        System.setOut(System.err);
        while (System.in.read() != -1) { }
        Runtime.getRuntime().halt(0);
    }
}
