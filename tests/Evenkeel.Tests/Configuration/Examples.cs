using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Configuration;

/// <summary>A cluster file that is right, to be spoiled in one place by a test.</summary>
internal static class Examples
{
    public const string Web = """
        version: 1
        cluster: shop
        networks: { public: 203.0.113.0/24, private: [10.10.0.0/24] }
        vips: { front: 203.0.113.10 }
        nodes:
          n1: { public: 203.0.113.11, private: [10.10.0.11], fence: { agent: fence_ipmilan, password_file: /etc/evenkeel/n1 } }
          n2: { public: 203.0.113.12, private: [10.10.0.12] }
          n3: { private: [10.10.0.13], role: witness }
        services:
          web:
            process: { command: [./shop, --urls, "http://{private}:5000"] }
            redundancy: hot
            health: { http: /healthz, every: 100ms, timeout: 100ms, rise: 2, fall: 2 }
            publish: [{ vip: front, port: 80, protocol: http, balance: two-choices }]
            objectives: { rto: 1s, rpo: 0s }
          jobs:
            process: { command: [./jobs] }
            redundancy: cold
            depends_on: [web]
        """;

    /// <summary>The example with one text in it replaced; the text must be there.</summary>
    public static string Spoil(string good, string bad)
    {
        Assert.Contains(good, Web, StringComparison.Ordinal);
        return Web.Replace(good, bad, StringComparison.Ordinal);
    }

    public static ClusterSpec Spec(string text)
    {
        var result = ClusterFile.Parse(text);
        Assert.True(result.Spec is not null, string.Join('\n', result.Diagnostics));
        return result.Spec!;
    }
}
