using System.Globalization;
using System.Text.RegularExpressions;
using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Evenkeel.Tests.PublicConnection.Balancer;
using Xunit;

namespace Evenkeel.Tests.Configuration;

/// <summary>The examples of the manual are taken by this version as they are printed, and its HTTP doors serve.</summary>
public sealed partial class DocumentedExamplesTests
{
    private static readonly string[] pages = ["public-connection.md", "virtual-ip-hooks.md", "coming-from-haproxy.md"];

    private static readonly string frame = """
        version: 1
        cluster: shop
        networks: { public: 203.0.113.0/24, private: [10.10.0.0/24] }
        vips: { front: 203.0.113.10 }
        nodes:
          n1: { public: 203.0.113.11, private: [10.10.0.11] }
          n2: { public: 203.0.113.12, private: [10.10.0.12] }
          n3: { public: 203.0.113.13, private: [10.10.0.13] }

        """;

    private const string Service = """
            process: { command: [./web, --urls, "http://{private}:5000"] }
            redundancy: hot

        """;

    public static TheoryData<string, int, string> Examples
    {
        get
        {
            var found = new TheoryData<string, int, string>();
            foreach (var page in pages)
                foreach (var (number, match) in Block().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs", page))).Index())
                    found.Add(page, number + 1, match.Groups[1].Value);
            return found;
        }
    }

    [Theory, MemberData(nameof(Examples))]
    public void Example_IsTaken(string page, int number, string text)
    {
        var read = ClusterFile.Parse(Whole(text));
        Assert.True(read.Spec is not null && read.Diagnostics.All(found => found.Severity != Severity.Error), $"{page}, example {number}: {string.Join("; ", read.Diagnostics)}");
    }

    [Theory, MemberData(nameof(Examples))]
    public async Task Example_OfAnHttpDoor_Serves(string page, int number, string text)
    {
        if (ClusterFile.Parse(Whole(text)).Spec is not { } spec) return;
        using var certificates = new TestCertificates();
        var pair = certificates.Write("a", "a.example");
        await using var instance = new ScriptedInstance("n1");
        foreach (var door in spec.Services.Values.SelectMany(service => service.Publish).Where(door => door.Protocol == PublishProtocol.Http))
        {
            // The files of the example are another machine's.
            var asked = door.Door with { Http = door.Door.Http with { Tls = door.Door.Http.Tls is { } tls ? tls with { Certificates = [pair], ClientAuthorities = null } : null } };
            var host = asked.Http.Hosts.FirstOrDefault(one => one[0] != '*') ?? "shop.example";
            using var request = new HttpRequestMessage(HttpMethod.Get, asked.Http.Paths is [var path, ..] ? path : "/") { Headers = { Host = host } };
            foreach (var (name, value) in asked.Http.Headers) request.Headers.Add(name, value);
            Assert.True(await AnswerAsync(asked, instance, request) == "n1", string.Create(CultureInfo.InvariantCulture, $"{page}, example {number}: port {door.Port} does not serve"));
        }
    }

    private static async Task<string> AnswerAsync(DoorSpec door, ScriptedInstance instance, HttpRequestMessage request)
    {
        using var client = TlsDoor.Client();
        if (door.Http.Tls is { } tls)
        {
            await using var secure = await TlsDoor.OpenAsync(tls);
            request.RequestUri = new Uri($"https://{secure.Listen}{request.RequestUri}");
            secure.PublishTo(instance.Destination(), door);
            return await (await client.SendAsync(request, TestContext.Current.CancellationToken)).Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        }
        await using var plain = await HttpDoor.OpenAsync(door, null, instance.Destination());
        request.RequestUri = new Uri($"http://{plain.Listen}{request.RequestUri}");
        return await (await client.SendAsync(request, TestContext.Current.CancellationToken)).Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>What the example leaves out is put around it: a cluster, and what a service is made of.</summary>
    private static string Whole(string example)
    {
        if (example.StartsWith("networks:", StringComparison.Ordinal)) return "version: 1\ncluster: shop\n" + WithPrivate(example);
        var service = example.Contains("to: primary", StringComparison.Ordinal) ? Service.Replace("hot", "cold", StringComparison.Ordinal) : Service;
        if (example.StartsWith("publish:", StringComparison.Ordinal)) return $"{frame}services:\n  web:\n{service}    {example.Replace("\n", "\n    ", StringComparison.Ordinal)}";
        var port = 5000;
        return frame + Named().Replace(example, match => example.Contains("process:", StringComparison.Ordinal) ? match.Value
            : match.Value + "\n" + Service.TrimEnd('\n').Replace("5000", $"{port++}", StringComparison.Ordinal));
    }

    private static string WithPrivate(string example) =>
        NetworksOwn().IsMatch(example) ? example : example.Replace("networks:\n", "networks:\n  private: [10.10.0.0/24]\n", StringComparison.Ordinal);

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex("^  [a-z]+:$", RegexOptions.Multiline)]
    private static partial Regex Named();

    [GeneratedRegex("^  private:", RegexOptions.Multiline)]
    private static partial Regex NetworksOwn();
}
