using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Evenkeel.Agent.Local;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.Operations;

/// <summary>A bundle of a running cluster, searched for every secret that its nodes have.</summary>
public sealed class BundleTests(ITestOutputHelper output) : IAsyncLifetime
{
    private Servers servers = null!;

    public async ValueTask InitializeAsync() => servers = await Servers.StartAsync("bundle");
    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Trait("Stage", "long")]
    [Fact]
    public async Task Bundle_OfARunningCluster_HasAllNodes_AndNoSecretOfAny()
    {
        // A service that prints its own password: the worst that a log can hold.
        var source = await File.ReadAllTextAsync(servers.ClusterFilePath, TestContext.Current.CancellationToken);
        const string webhook = "/services/T0/B0/s3cr3tpath", header = "ops-team-77", password = "correct-horse-battery", marker = "this line is in the log";
        await File.WriteAllTextAsync(servers.ClusterFilePath, source + $$"""

              talker:
                redundancy: cold
                process:
                  command: [sh, -c, "echo {{marker}}; echo it is $DB_PASSWORD; exec sleep 3600"]
                  environment: { DB_PASSWORD: {{password}} }
            alerts:
              chat: { webhook: "https://127.0.0.1:9{{webhook}}", after: 1h, headers: { X-Team: {{header}} } }

            """, TestContext.Current.CancellationToken);
        await servers.InitAllAsync();
        servers.StartAgents();
        await servers.WholeAsync();
        // A token that is open now.
        var socket = LocalPaths.ControlSocket("bundle", "n1");
        var token = (await servers.AskAsync("n1", "token", "n3", "--cluster", socket)).Split("--token ")[1].Split(' ')[0].Trim();

        var bundle = Path.Combine(servers.Directory, "bundle.tar.gz");
        var begun = Stopwatch.StartNew();
        var result = await servers.RunAsync("n1", "bundle", "-o", bundle, "--configuration", Path.Combine(servers.State("n1"), "agent.json"), "--cluster", socket);
        Servers.Expect(0, result, "nodes: n1, n2, n3");
        output.WriteLine($"{begun.Elapsed.TotalSeconds:F1} s\n{result.Output}");

        var contents = Read(bundle);
        foreach (var node in new[] { "n1", "n2", "n3" })
        {
            Assert.Contains("\"cluster\":\"bundle\"", contents[node + "/agent/status.json"], StringComparison.Ordinal);
            Assert.Contains("inet 10.77.0.1", contents[node + "/network/addresses.txt"], StringComparison.Ordinal);
            Assert.Contains("\"dbSize\"", contents[node + "/store/n1-maintenance-status.json"], StringComparison.Ordinal);
            Assert.Contains("CN=" + node, contents[node + "/state/certificates.txt"], StringComparison.Ordinal);
            Assert.Contains(node + "/network/nft-ruleset.txt", contents.Keys);
        }
        Assert.Contains(contents, entry => entry.Key.EndsWith("/network/nft-ruleset.txt", StringComparison.Ordinal) && entry.Value.Contains("203.0.113.10", StringComparison.Ordinal));
        Assert.Contains(contents, entry => entry.Key.EndsWith("/logs/talker.log", StringComparison.Ordinal) && entry.Value.Contains(marker, StringComparison.Ordinal)
            && entry.Value.Contains("it is (cut out)", StringComparison.Ordinal));

        var secrets = await SecretsAsync();
        secrets.AddRange([password, token, webhook, header]);
        Assert.True(secrets.Count > 20, "there should be many secrets to look for");
        foreach (var secret in secrets)
            Assert.All(contents, entry => Assert.False(entry.Value.Contains(secret, StringComparison.Ordinal), $"{entry.Key} holds a secret ({secret[..4]}…)"));
        output.WriteLine($"{contents.Count} files searched for {secrets.Count} secrets");

        // A node that is gone is named, and the rest is there.
        servers.StopAgent("n3");
        var second = Path.Combine(servers.Directory, "second.tar.gz");
        Servers.Expect(0, await servers.RunAsync("n1", "bundle", "-o", second, "--configuration", Path.Combine(servers.State("n1"), "agent.json"), "--cluster", socket),
            "nodes: n1, n2\n", "n3: n3 does not answer on its private addresses");
    }

    /// <summary>Every line of every private key and bundle, the hashes of tokens, the guards' keys out of the store.</summary>
    private async Task<List<string>> SecretsAsync()
    {
        var secrets = new List<string>();
        foreach (var file in Directory.EnumerateFiles(servers.Directory, "*", SearchOption.AllDirectories)
            .Where(file => file.EndsWith(".key", StringComparison.Ordinal) || file.EndsWith(".bundle", StringComparison.Ordinal) || file.EndsWith("tokens.json", StringComparison.Ordinal)))
        {
            var text = Encoding.Latin1.GetString(await File.ReadAllBytesAsync(file));
            secrets.AddRange(file.EndsWith(".json", StringComparison.Ordinal)
                ? JsonDocument.Parse(text).RootElement.EnumerateArray().Select(entry => entry.GetProperty("Hash").GetString()!)
                : PrivateKeyLines(text));
        }
        var tls = Path.Combine(servers.State("n1"), "tls");
        var keys = await servers.RunProgramAsync("n1", "etcdctl", "--endpoints", "https://10.77.0.11:2379", "--cacert", Path.Combine(tls, "ca.crt"),
            "--cert", Path.Combine(tls, "node.crt"), "--key", Path.Combine(tls, "node.key"), "get", "--prefix", "evenkeel/bundle/");
        Servers.Expect(0, keys);
        // A line the key, a line the value.
        var value = keys.Output.Split('\n').SkipWhile(line => !line.EndsWith("/keys/guard", StringComparison.Ordinal)).ElementAt(1);
        secrets.AddRange(JsonDocument.Parse(value).RootElement.EnumerateObject().Select(key => key.Value.GetString()!));
        return secrets;
    }

    private static IEnumerable<string> PrivateKeyLines(string text) => text.Split("-----BEGIN ").Where(part => part.Split('\n')[0].Contains("PRIVATE KEY", StringComparison.Ordinal))
        .SelectMany(part => part.Split("-----END ")[0].Split('\n').Skip(1)).Where(line => line.Length > 8);

    private static Dictionary<string, string> Read(string bundle)
    {
        var contents = new Dictionary<string, string>();
        using var archive = new TarReader(new GZipStream(File.OpenRead(bundle), CompressionMode.Decompress));
        while (archive.GetNextEntry(copyData: true) is { } entry)
        {
            using var reader = new StreamReader(entry.DataStream ?? Stream.Null);
            contents[entry.Name[(entry.Name.IndexOf('/', StringComparison.Ordinal) + 1)..]] = reader.ReadToEnd();
        }
        return contents;
    }
}
