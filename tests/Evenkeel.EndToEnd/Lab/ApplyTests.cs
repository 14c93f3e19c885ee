using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.PublicConnection;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>What an operator changes of the doors while clients use them, as <c>evenkeel apply</c> brings it to a cluster.</summary>
[Collection(DualStackCollection.Name)]
[Trait("needs", "root")]
public sealed class ApplyTests(DualStackLab lab, ITestOutputHelper output) : IDisposable
{
    private const string Door = "- { vip: four, port: 80, protocol: http }", Place = DualStackLab.Four, Weights = "weights: { n1: 10, n2: 200 }",
        Checks = "health: { http: /healthz, every: 100ms, timeout: 100ms, rise: 2, fall: 2 }";
    // An instance that is slow on a busy machine would be left, rightly; here only what is applied may make a difference.
    private const string PatientChecks = "health: { http: /healthz, every: 1s, timeout: 1s, rise: 2, fall: 3 }";
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-apply-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Trait("Stage", "long")]
    [Fact]
    public Task EveryKindOfChangeToTheDoors_Applied_LosesNoRequestAndCutsNoConnection() => lab.PlayAsync(async () =>
    {
        foreach (var name in (string[])["a", "b"])
            NginxFarm.Run($"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN={name}.example -keyout {directory}/{name}.key -out {directory}/{name}.pem");
        var owner = await lab.OwnerAsync("four", _ => true);
        await using var clients = new SteadyClients(lab.Client);
        try
        {
            Ask(clients, "http", $"http://{Place}");
            await ApplyAsync(clients, owner, "doors are added", Doors());
            await ServedAsync($"http://{Place}:81/", _ => true);
            await ServedAsync($"https://{Place}/", _ => true);
            Ask(clients, "tcp", $"http://{Place}:81");
            Ask(clients, "https", $"https://{Place}");
            clients.AskByOneConnection("http/2, one connection", $"https://{Place}/", httpVersion: 2);
            clients.Listen("http/2, events", $"https://{Place}/events?ms=20", httpVersion: 2);
            await clients.HeardAsync(NamespaceLab.Deadline());

            await ApplyAsync(clients, owner, "weights",
                Doors(http: Weights, tls: Weights, tcp: "weights: { n1: 300, n3: 1 }").Replace("six, port: 80, protocol: http", $"six, port: 80, protocol: http, {Weights}", StringComparison.Ordinal)
                    .Replace("other, port: 80, protocol: http", $"other, port: 80, protocol: http, {Weights}", StringComparison.Ordinal));
            await ApplyAsync(clients, owner, "balancing", Doors(http: "balance: round-robin", tls: "balance: source-hash", tcp: "balance: least-requests"));
            await ApplyAsync(clients, owner, "limits, access, cookies, logs", Doors(
                http: $"limits: {{ per_instance: 100, requests: 500, waiting: 100, wait: 2s, connections_per_address: 500, rate: 5000, burst: 5000 }}, outliers: false, sticky: {{ cookie: seat, for: 1h }}, access_log: {{ file: {directory}/access.log, format: json }}",
                tls: "allow: [203.0.113.0/24], limits: { body: 1MiB, head: 16KiB, head_time: 5s }",
                tcp: "limits: { connections: 1000, per_instance: 100 }, deny: [198.51.100.0/24]"));
            await ApplyAsync(clients, owner, "certificate and TLS settings", Doors(certificate: "b", settings: "least: \"1.3\", hsts: 1w"));
            await ServedAsync($"https://{Place}/", certificate => certificate?.Subject == "CN=b.example");
            await ApplyAsync(clients, owner, "checks and drain", Doors().Replace(PatientChecks,
                "drain_timeout: 10s\n    health: { http: /healthz, every: 800ms, timeout: 800ms, rise: 1, fall: 4 }", StringComparison.Ordinal));
            await ApplyAsync(clients, owner, "a route to a new service", Doors() + $$"""

                  api:
                    process:
                      command: [./service/bin/web, --urls, "http://{private}:5001", --node, "api-{node}"]
                    redundancy: hot
                    instances: 1
                    health: { http: /healthz, every: 500ms, timeout: 500ms }
                    publish:
                      - { vip: four, port: 80, protocol: http, paths: [/slow] }
                      - { vip: four, port: 443, protocol: http, paths: [/slow], {{Tls("a", "")}} }
                """);
            await ServedAsync($"http://{Place}/slow?ms=1", _ => true, by: "api-");
            await ServedAsync($"https://{Place}/slow?ms=1", _ => true, by: "api-");
            await ApplyAsync(clients, owner, "the new service is removed", Doors(), "--yes");
            await ServedAsync($"http://{Place}/slow?ms=1", _ => true, by: "n");
            var metrics = await ControlCalls.TextAsync(SocketOf(owner), ControlRoutes.Metrics, Token);
            Assert.Matches("""evenkeel_balancer_tcp_connections_open\{service="web",node="n[123]"\} [1-9]""", metrics);
            Assert.Matches("""evenkeel_balancer_tcp_received_bytes_total\{service="web",node="n[123]"\} [1-9]""", metrics);
            await clients.EndAsync();
            output.WriteLine(string.Join("; ", clients.Answers.Select(one => $"{one.Key}: {one.Value}")));
            Assert.Empty(clients.Failures);
            Assert.Equal(owner, await lab.OwnerAsync("four"));
        }
        finally
        {
            await clients.EndAsync();
            // What failed before the first change has nothing to undo.
            await RunAsync(owner, lab.Text, "--yes");
        }
    });

    private static void Ask(SteadyClients clients, string name, string at)
    {
        clients.AskByOneConnection($"{name}, one connection", $"{at}/");
        clients.AskByNewConnections($"{name}, new connections", $"{at}/");
        clients.Listen($"{name}, events", $"{at}/events?ms=20");
    }

    private string Doors(string http = "", string tls = "", string tcp = "", string certificate = "a", string settings = "") => lab.Text.Replace(Door, string.Join("\n      ",
        Entry("port: 80, protocol: http", http), Entry("port: 443, protocol: http", Tls(certificate, settings), tls), Entry("port: 81, protocol: tcp", tcp)), StringComparison.Ordinal)
        .Replace(Checks, PatientChecks, StringComparison.Ordinal);

    private static string Entry(params string[] words) => $"- {{ vip: four, {string.Join(", ", words.Where(part => part.Length > 0))} }}";
    private string Tls(string certificate, string settings) =>
        $"tls: {{ certificates: [{{ certificate: {directory}/{certificate}.pem, key: {directory}/{certificate}.key }}]{(settings.Length > 0 ? ", " : "")}{settings} }}";

    /// <summary>Applied without a question, in force at the owner, and used by every client since.</summary>
    private async Task ApplyAsync(SteadyClients clients, NodeName owner, string what, string text, params string[] more)
    {
        clients.Moment = what;
        await CommitAsync(owner, text, more);
        await clients.HeardAsync(NamespaceLab.Deadline());
        Assert.True(clients.Failures.Count == 0, string.Join("\n", clients.Failures));
    }

    private async Task<string> RunAsync(NodeName owner, string text, params string[] more)
    {
        var file = Path.Combine(directory, "cluster.yaml");
        await File.WriteAllTextAsync(file, text, Token);
        return await SystemCommand.RunAsync([Checkout.Program, "apply", file, "--cluster", SocketOf(owner), .. more], NamespaceLab.Deadline());
    }

    private async Task CommitAsync(NodeName owner, string text, params string[] more)
    {
        var said = await RunAsync(owner, text, more);
        Assert.Contains("Applied as revision", said, StringComparison.Ordinal);
        var revision = long.Parse(said.Split("Applied as revision ")[1].Split('.')[0], CultureInfo.InvariantCulture);
        for (var deadline = NamespaceLab.Deadline(); await ControlCalls.StatusAsync(SocketOf(owner), deadline) is not { } status || status.SpecRevision < revision;) await Task.Delay(20, deadline);
    }

    private string SocketOf(NodeName node) => LocalPaths.ControlSocket(lab.Cluster.Spec.Cluster, node.Value);

    /// <summary>A client that comes now is answered, shown this certificate, by an instance whose name begins so.</summary>
    private async Task ServedAsync(string url, Predicate<X509Certificate?> shown, string by = "")
    {
        for (var deadline = NamespaceLab.Deadline(); ; await Task.Delay(20, deadline))
        {
            X509Certificate? seen = null;
            using var handler = SteadyClients.Handler(lab.Client);
            handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => (seen = certificate is null ? null : new X509Certificate2(certificate)) is not null;
            using var client = new HttpClient(handler);
            try
            {
                using var answer = await client.GetAsync(new Uri(url), deadline);
                if (answer.IsSuccessStatusCode && answer.Headers.GetValues("X-Evenkeel-Node").Single().StartsWith(by, StringComparison.Ordinal) && shown(seen)) return;
            }
            catch (HttpRequestException)
            {
                // A door that is only just being opened.
            }
        }
    }
}
