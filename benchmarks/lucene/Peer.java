import java.io.BufferedWriter;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.core.KeywordAnalyzer;
import org.apache.lucene.analysis.core.LowerCaseFilter;
import org.apache.lucene.analysis.core.WhitespaceAnalyzer;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
import org.apache.lucene.analysis.miscellaneous.PerFieldAnalyzerWrapper;
import org.apache.lucene.analysis.standard.StandardTokenizer;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.monitor.HighlightsMatch;
import org.apache.lucene.monitor.MatcherFactory;
import org.apache.lucene.monitor.Monitor;
import org.apache.lucene.monitor.MonitorConfiguration;
import org.apache.lucene.monitor.MonitorQuery;
import org.apache.lucene.monitor.MultiMatchingQueries;
import org.apache.lucene.monitor.MultipassTermFilteredPresearcher;
import org.apache.lucene.monitor.Presearcher;
import org.apache.lucene.monitor.QueryDecomposer;
import org.apache.lucene.monitor.QueryMatch;
import org.apache.lucene.monitor.RegexpQueryHandler;
import org.apache.lucene.monitor.TermFilteredPresearcher;
import org.apache.lucene.monitor.TermWeightor;
import org.apache.lucene.queries.intervals.IntervalQuery;
import org.apache.lucene.queries.intervals.Intervals;
import org.apache.lucene.queries.intervals.IntervalsSource;
import org.apache.lucene.queries.spans.SpanFirstQuery;
import org.apache.lucene.queries.spans.SpanMultiTermQueryWrapper;
import org.apache.lucene.queries.spans.SpanNearQuery;
import org.apache.lucene.queries.spans.SpanOrQuery;
import org.apache.lucene.queries.spans.SpanQuery;
import org.apache.lucene.queries.spans.SpanTermQuery;
import org.apache.lucene.queryparser.classic.QueryParser;
import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.MatchAllDocsQuery;
import org.apache.lucene.search.MultiTermQuery;
import org.apache.lucene.search.PhraseQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.TermQuery;

/**
 * Matches headlines with stored queries by Apache Lucene's Monitor, which is the peer and the oracle of the matcher.
 *
 * <p>{@code Peer QUERIES HEADLINES HITS ANALYZER PRESEARCHER BATCH ROUNDS WORDS}: a line of QUERIES is one query, a line of
 * HEADLINES is its source, its topics between spaces and its text, between tabs. A line of HITS is the numbers of the
 * queries that match the headline of that line; with WORDS `true`, Lucene finds the words that matched as well. Seconds, documents a second and bytes go to standard output.
 *
 * <p>A query is {@code =TEXT}, which Lucene's classic parser reads, or, for what that parser has no syntax for, a
 * function of queries: {@code (and …) (or …) (not X) (atleast N …) (near N X Y) (onear N X Y) (first N X)}.
 */
public final class Peer {
  private static final String TEXT = "headline";

  public static void main(String[] args) throws Exception {
    Analyzer text = args[3].equals("standard") ? new Standard() : new WhitespaceAnalyzer();
    Analyzer analyzer =
        new PerFieldAnalyzerWrapper(text, Map.of("source", new KeywordAnalyzer(), "topic", new KeywordAnalyzer()));
    List<Document> headlines = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of(args[1]))) {
      headlines.add(document(line.split("\t", -1)));
    }
    long before = used();
    long start = processorTime();
    MonitorConfiguration configuration = new MonitorConfiguration();
    configuration.setQueryDecomposer(new QueryDecomposer());
    try (Monitor monitor = new Monitor(analyzer, presearcher(args[4]), configuration)) {
      List<MonitorQuery> queries = new ArrayList<>();
      int number = 0;
      for (String line : Files.readAllLines(Path.of(args[0]))) {
        queries.add(new MonitorQuery(Integer.toString(number++), new Reader(line, analyzer).query()));
        if (queries.size() == 5_000) {
          monitor.register(queries);
          queries.clear();
        }
      }
      monitor.register(queries);
      System.out.printf("load %.6f%n", (processorTime() - start) / 1e9);
      System.out.printf("bytes %d%n", used() - before);
      int batch = Integer.parseInt(args[5]);
      MatcherFactory<? extends QueryMatch> matcher =
          Boolean.parseBoolean(args[7]) ? HighlightsMatch.MATCHER : QueryMatch.SIMPLE_MATCHER;
      for (int round = 0; round < Integer.parseInt(args[6]); round++) {
        List<List<Integer>> hits = new ArrayList<>();
        start = processorTime();
        for (int first = 0; first < headlines.size(); first += batch) {
          match(monitor, matcher, headlines.subList(first, Math.min(first + batch, headlines.size())), hits);
        }
        System.out.printf("rate %.3f%n", headlines.size() / ((processorTime() - start) / 1e9));
        write(Path.of(args[2]), hits);
      }
    }
  }

  private static <T extends QueryMatch> void match(
      Monitor monitor, MatcherFactory<T> matcher, List<Document> headlines, List<List<Integer>> hits)
      throws IOException {
    MultiMatchingQueries<T> found = monitor.match(headlines.toArray(Document[]::new), matcher);
    for (int at = 0; at < headlines.size(); at++) {
      List<Integer> ids = new ArrayList<>();
      for (QueryMatch match : found.getMatches(at)) {
        ids.add(Integer.valueOf(match.getQueryId()));
      }
      hits.add(ids);
    }
  }

  private static void write(Path file, List<List<Integer>> hits) throws IOException {
    try (BufferedWriter out = Files.newBufferedWriter(file)) {
      for (List<Integer> ids : hits) {
        Collections.sort(ids);
        StringBuilder line = new StringBuilder();
        for (int id : ids) {
          line.append(line.length() == 0 ? "" : " ").append(id);
        }
        out.write(line.append('\n').toString());
      }
    }
  }

  private static Document document(String[] parts) {
    Document document = new Document();
    document.add(new StringField("source", parts[0], Field.Store.NO));
    for (String topic : parts[1].split(" ")) {
      if (!topic.isEmpty()) {
        document.add(new StringField("topic", topic, Field.Store.NO));
      }
    }
    document.add(new TextField(TEXT, parts[2], Field.Store.NO));
    return document;
  }

  private static Presearcher presearcher(String name) {
    return switch (name) {
      case "none" -> Presearcher.NO_FILTERING;
      case "terms" -> new TermFilteredPresearcher();
      case "terms+ngrams" ->
          new TermFilteredPresearcher(
              TermWeightor.DEFAULT, List.of(new RegexpQueryHandler()), Collections.emptySet());
      case "multipass" -> new MultipassTermFilteredPresearcher(3);
      case "multipass+ngrams" ->
          new MultipassTermFilteredPresearcher(
              3, 0.0f, TermWeightor.DEFAULT, List.of(new RegexpQueryHandler()), Collections.emptySet());
      default -> throw new IllegalArgumentException(name);
    };
  }

  /** What this thread has had of a processor, in nanoseconds: other programs on the machine take none of it. */
  private static long processorTime() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }

  private static long used() {
    System.gc();
    Runtime runtime = Runtime.getRuntime();
    return runtime.totalMemory() - runtime.freeMemory();
  }

  /** Words as Unicode has them (UAX #29), in small letters and without accents. */
  private static final class Standard extends Analyzer {
    @Override
    protected TokenStreamComponents createComponents(String field) {
      StandardTokenizer tokenizer = new StandardTokenizer();
      return new TokenStreamComponents(tokenizer, new ASCIIFoldingFilter(new LowerCaseFilter(tokenizer)));
    }
  }

  /** Reads one query. */
  private static final class Reader {
    private final String line;
    private final QueryParser parser;
    private int at = 0;

    Reader(String line, Analyzer analyzer) {
      this.line = line;
      parser = new QueryParser(TEXT, analyzer);
      parser.setDefaultOperator(QueryParser.Operator.AND);
      parser.setAllowLeadingWildcard(true);
      parser.setSplitOnWhitespace(true);
      parser.setAutoGeneratePhraseQueries(true);
    }

    Query query() throws Exception {
      if (line.charAt(at) == '=') {
        String text = line.substring(at + 1);
        at = line.length();
        return parser.parse(text);
      }
      at++;
      String name = word();
      if (name.equals("text")) {
        int end = line.indexOf('\u0001', at);
        Query query = parser.parse(line.substring(at, end));
        at = end + 2;
        return query;
      }
      int count = Character.isDigit(line.charAt(at)) ? Integer.parseInt(word()) : 0;
      List<Query> parts = new ArrayList<>();
      while (line.charAt(at) == '(') {
        parts.add(query());
      }
      at++;
      return made(name, count, parts);
    }

    private String word() {
      int end = line.indexOf(' ', at);
      String found = line.substring(at, end);
      at = end + 1;
      return found;
    }

    private static Query made(String name, int count, List<Query> parts) {
      BooleanQuery.Builder builder = new BooleanQuery.Builder();
      switch (name) {
        case "and" -> parts.forEach(part -> builder.add(part, Occur.MUST));
        case "or" -> parts.forEach(part -> builder.add(part, Occur.SHOULD));
        case "not" -> {
          builder.add(new MatchAllDocsQuery(), Occur.MUST);
          parts.forEach(part -> builder.add(part, Occur.MUST_NOT));
        }
        case "atleast" -> {
          parts.forEach(part -> builder.add(part, Occur.SHOULD));
          builder.setMinimumNumberShouldMatch(count);
        }
        case "near" -> {
          return near(count, Intervals.unorderedNoOverlaps(intervals(parts.get(0)), intervals(parts.get(1))));
        }
        case "onear" -> {
          return near(count, Intervals.ordered(intervals(parts.get(0)), intervals(parts.get(1))));
        }
        case "first" -> {
          return new SpanFirstQuery(span(parts.get(0)), count);
        }
        default -> throw new IllegalArgumentException(name);
      }
      return builder.build();
    }

    private static Query near(int count, IntervalsSource source) {
      return new IntervalQuery(TEXT, Intervals.maxgaps(count, source));
    }

    private static IntervalsSource intervals(Query query) {
      if (query instanceof TermQuery word) {
        return Intervals.term(word.getTerm().text());
      }
      if (query instanceof PhraseQuery phrase) {
        IntervalsSource[] words =
            java.util.Arrays.stream(phrase.getTerms()).map(t -> Intervals.term(t.text())).toArray(IntervalsSource[]::new);
        return Intervals.phrase(words);
      }
      BooleanQuery group = (BooleanQuery) query;
      return Intervals.or(group.clauses().stream().map(c -> intervals(c.getQuery())).toArray(IntervalsSource[]::new));
    }

    private static SpanQuery span(Query query) {
      if (query instanceof TermQuery word) {
        return new SpanTermQuery(word.getTerm());
      }
      if (query instanceof MultiTermQuery pattern) {
        return new SpanMultiTermQueryWrapper<>(pattern);
      }
      if (query instanceof PhraseQuery phrase) {
        SpanQuery[] words = new SpanQuery[phrase.getTerms().length];
        for (int at = 0; at < words.length; at++) {
          words[at] = new SpanTermQuery(phrase.getTerms()[at]);
        }
        return new SpanNearQuery(words, 0, true);
      }
      BooleanQuery group = (BooleanQuery) query;
      return new SpanOrQuery(group.clauses().stream().map(c -> span(c.getQuery())).toArray(SpanQuery[]::new));
    }
  }
}
