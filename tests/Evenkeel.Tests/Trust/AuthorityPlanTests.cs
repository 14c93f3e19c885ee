using Evenkeel.Agent.Trust;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Trust;

/// <summary>
/// One authority takes another's place among nodes that act at any time and in any order, whose etcd reads what it trusts only when it starts:
/// at no moment does anybody refuse anybody.
/// </summary>
public sealed class AuthorityPlanTests
{
    private static readonly TrustedAuthority A = new("sha256:a", "A"), B = new("sha256:b", "B");
    private static readonly NodeName[] names = [new("n1"), new("n2"), new("n3")];

    private static AuthorityRecord Begun => new([A, B], A.Hash, names[0], false, DateTimeOffset.UnixEpoch);

    [Fact]
    public void Next_WhateverTheOrder_NobodyIsEverAStranger_AndItEnds()
    {
        for (var seed = 0; seed < 500; seed++)
        {
            Assert.Null(Run(seed, AuthorityPlan.Next));
        }
    }

    [Theory, InlineData(AuthorityPhase.Trust), InlineData(AuthorityPhase.Reissue)]
    public void Next_APhaseThatDoesNotWait_IsFoundOut(AuthorityPhase hasty)
    {
        AuthorityRecord? Hasty(AuthorityRecord record, IEnumerable<NodeName> members, IReadOnlyDictionary<NodeName, TrustReport> reports) => record.Phase != hasty ? AuthorityPlan.Next(record, members, reports)
            : hasty == AuthorityPhase.Trust ? record with { Issuing = B.Hash } : record with { Trusted = [B] };
        Assert.Contains(Enumerable.Range(0, 500), seed => Run(seed, Hasty) is not null);
    }

    [Fact]
    public void WaitsFor_ANodeThatIsSilent_IsNamed()
    {
        var waits = AuthorityPlan.WaitsFor(Begun, names, names.Take(2).ToDictionary(name => name, name => new Node(name) { Trusted = [A, B], StoreTrusted = [A, B] }.Report));
        Assert.Equal(names[2], Assert.Single(waits).Node);
        Assert.Null(AuthorityPlan.Next(Begun, [], new Dictionary<NodeName, TrustReport>()));
    }

    [Fact]
    public void WaitsFor_AnEtcdThatWasNotStartedAnew_HoldsTheTrustPhaseUp()
    {
        var reports = names.ToDictionary(name => name, name => new Node(name) { Trusted = [A, B], StoreTrusted = [A, B] }.Report);
        Assert.NotNull(AuthorityPlan.Next(Begun, names, reports));
        reports[names[1]] = reports[names[1]] with { StoreTrusted = [A.Hash] };
        Assert.Contains("etcd", Assert.Single(AuthorityPlan.WaitsFor(Begun, names, reports)).Lacks, StringComparison.Ordinal);
        reports[names[1]] = reports[names[1]] with { StoreTrusted = null }; // it does not vote
        Assert.NotNull(AuthorityPlan.Next(Begun, names, reports));
    }

    /// <returns>Who refused whom, in words; null: nobody, and the change came to its end.</returns>
    private static string? Run(int seed, Func<AuthorityRecord, IEnumerable<NodeName>, IReadOnlyDictionary<NodeName, TrustReport>, AuthorityRecord?> plan)
    {
        var random = new Random(seed);
        Node[] nodes = [.. names.Select(name => new Node(name))];
        var (record, reports) = (Begun, new Dictionary<NodeName, TrustReport>());
        for (var step = 0; step < 2000; step++)
        {
            var node = nodes[random.Next(nodes.Length)];
            switch (random.Next(6))
            {
                case 0: if (record.Trusted.Contains(node.Issuer)) node.Trusted = record.Trusted; break;
                case 1: node.StoreTrusted = node.Trusted; break;
                case 2: node.Issuer = record.Trusted.First(one => one.Hash == record.Issuing) is { } issuing && node.Trusted.Contains(issuing) ? issuing : node.Issuer; break;
                case 3: reports[node.Name] = node.Report; break;
                case 4: record = plan(record, names, reports) ?? record; break;
                default: reports.Remove(node.Name); break; // as if it had not said it yet
            }

            foreach (var (one, other) in nodes.SelectMany(one => nodes.Select(other => (one, other))))
            {
                if (!one.Trusted.Contains(other.Issuer) || !one.StoreTrusted.Contains(other.Issuer))
                {
                    return $"seed {seed}, step {step}: {one.Name} refuses {other.Name}";
                }
            }

            if (record.Phase == AuthorityPhase.Settled && nodes.All(one => one.Trusted is [var only] && only == B && one.StoreTrusted is [var its] && its == B))
            {
                return null;
            }
        }

        return $"seed {seed}: it did not end, phase {record.Phase}";
    }

    private sealed class Node(NodeName name)
    {
        public NodeName Name => name;
        public IReadOnlyList<TrustedAuthority> Trusted { get; set; } = [A];
        public IReadOnlyList<TrustedAuthority> StoreTrusted { get; set; } = [A];
        public TrustedAuthority Issuer { get; set; } = A;
        public TrustReport Report => new(name, [.. Trusted.Select(one => one.Hash)], [.. StoreTrusted.Select(one => one.Hash)], Issuer.Hash, "1", DateTimeOffset.UnixEpoch, [1], 1);
    }
}
