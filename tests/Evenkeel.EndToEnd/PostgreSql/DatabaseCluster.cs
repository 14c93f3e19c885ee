using System.Collections.Concurrent;
using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Services.PostgreSql;
using Xunit;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>Nodes on loopback addresses 127.78.NETWORK.1 and up, without a controller: the tests decide. Everything goes with it.</summary>
internal sealed class DatabaseCluster : IAsyncDisposable
{
    public const int Port = 5439;
    private readonly CertificateAuthority? _authority;
    private CertificateAuthority? _next;
    private readonly List<DatabaseNode> _nodes = [];

    public DatabaseCluster(int network, int nodes, bool certificates = false, Dictionary<string, string>? parameters = null)
    {
        Network = network;
        Root = Directory.CreateTempSubdirectory("ek-pg-").FullName;
        File.SetUnixFileMode(Root, (UnixFileMode)0b111_101_101); // The server's user goes through.
        Parameters = new Dictionary<string, string>(parameters ?? []) { ["shared_buffers"] = "16MB", ["max_connections"] = "30" };
        _authority = certificates ? CertificateAuthority.Create("test") : null;
        for (var number = 1; number <= nodes; number++)
        {
            _nodes.Add(new DatabaseNode(this, $"n-{number}", IPAddress.Parse($"127.78.{network}.{number}")));
        }
    }

    public int Network { get; }
    public string Root { get; }
    public IReadOnlyDictionary<string, string> Parameters { get; }
    public IReadOnlyList<DatabaseNode> Nodes => _nodes;
    public DatabaseNode this[int number] => _nodes[number - 1];
    /// <summary>Nodes that were taken out.</summary>
    public ConcurrentBag<NodeName> Removed { get; } = [];
    /// <summary>The system identifier, once there is one.</summary>
    public string? Data { get; private set; }

    /// <summary>Node 1 is primary under epoch 1, and the others follow it.</summary>
    public async Task Begin(bool required = true)
    {
        await BeginAlone();
        foreach (var node in _nodes.Skip(1))
        {
            Good(await node.Follow(this[1]));
            await node.Streams();
        }

        if (required)
        {
            await Require(this[1], 1, [.. _nodes.Skip(1)]);
        }
    }

    /// <summary>Node 1 is primary under epoch 1, and nobody follows it.</summary>
    public async Task BeginAlone()
    {
        Good(await this[1].Primary(1, initialise: true));
        Data = (await this[1].Until(facts => facts.Epoch is not null && facts.Replication?.Data is not null, "primary")).Replication!.Data;
    }

    public static async Task Require(DatabaseNode primary, long epoch, DatabaseNode[] nodes)
    {
        Good(await primary.Primary(epoch, nodes));
        await primary.Until(facts => facts.Replication is { } replication && nodes.All(node => replication.Synchronous.Contains(node.Name)), "synchronous");
    }

    public TlsFiles? TlsOf(DatabaseNode node)
    {
        if (_authority is null)
        {
            return null;
        }

        var directory = Path.Combine(Root, node.Name.Value, "tls");
        if (!Directory.Exists(directory))
        {
            _authority.IssueNode(node.Name, [node.Address], directory);
        }

        return new TlsFiles(Path.Combine(directory, NodeCertificate.AuthorityFile), Path.Combine(directory, NodeCertificate.CertificateFile), Path.Combine(directory, NodeCertificate.KeyFile));
    }

    /// <summary>What the agents do with the certificates while one authority takes the other's place: trust both, renew all, drop the old one.</summary>
    public void ChangeAuthority(int phase)
    {
        _next ??= CertificateAuthority.Create("test");
        foreach (var node in _nodes)
        {
            var directory = Path.Combine(Root, node.Name.Value, "tls");
            if (phase == 2)
            {
                using var request = new NodeRequest();
                request.Renew(_next.Sign(request.ToPem(), node.Name, [node.Address]), directory);
            }
            else
            {
                CertificatePair.ReplaceAuthorities(directory, phase == 1 ? [_authority!.CertificatePem, _next.CertificatePem] : [_next.CertificatePem]);
            }
        }
    }

    public static void Good(Core.Loop.Ports.ActionResult result) => Assert.True(result.Succeeded, result.Reason);

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            TestContext.Current.TestOutputHelper?.WriteLine($"{node.Name}:\n{node.Log()}");
            await node.DisposeAsync();
        }

        _authority?.Dispose();
        _next?.Dispose();
        Directory.Delete(Root, recursive: true);
    }
}
