package segue.client;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** A service config: which failures are tried again, and how. */
final class ServiceConfig {

  private ServiceConfig() {}

  /** The one that the clients of every language share. */
  static Map<String, ?> shared() {
    try (
      InputStream stream = ServiceConfig.class.getResourceAsStream("/segue/offers/v1/service_config.json")
    ) {
      return parse(new InputStreamReader(stream, StandardCharsets.UTF_8));
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  /** One from a file. */
  static Map<String, ?> read(Path path) throws IOException {
    try (Reader reader = Files.newBufferedReader(path)) {
      return parse(reader);
    }
  }

  /** As gRPC takes it: numbers are doubles. */
  private static Map<String, ?> parse(Reader json) {
    return new Gson().fromJson(json, new TypeToken<Map<String, Object>>() {}.getType());
  }
}
