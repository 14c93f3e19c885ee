using Evenkeel.Agent.Configuration;
using Xunit;

namespace Evenkeel.Tests.Configuration;

/// <summary>Each mistake: found, at its line and key, in words that say what and how to mend it.</summary>
public sealed class BadInputTests
{
    [Theory]
    [InlineData("redundancy: hot", "redundency: hot", 12, "services.web.redundency", "unknown key", "Did you mean 'redundancy'?")]
    [InlineData("redundancy: hot", "redundancy: hto", 12, "services.web.redundancy", "cold, warm or hot expected", "Did you mean 'hot'?")]
    [InlineData("cluster: shop", "cluster: Shop", 2, "cluster", "a name of 1 to 63", "Write")]
    [InlineData("version: 1", "version: 2", 1, "version", "1 expected, '2' found", "Write 1")]
    [InlineData("10.10.0.12]", "10.10.0.300]", 7, "nodes.n2.private[0]", "an IP address expected", "such as")]
    [InlineData("10.10.0.12]", "10.12]", 7, "nodes.n2.private[0]", "an IP address expected", "such as")]
    [InlineData("every: 100ms", "every: 100", 13, "services.web.health.every", "'100' found", "Give the unit")]
    [InlineData("every: 100ms", "every: 2ms", 13, "services.web.health.every", "a time from 10ms", "Write a time")]
    [InlineData("port: 80,", "port: 80800,", 14, "services.web.publish[0].port", "65,535", "Write")]
    [InlineData("port: 80,", "port: \"80\",", 14, "services.web.publish[0].port", "a whole number", "Write")]
    [InlineData("[10.10.0.0/24]", "[10.10.0.5/24]", 3, "networks.private[0]", "CIDR", "bits behind the prefix must be zero")]
    [InlineData("public: 203.0.113.0/24", "public: 203.0.113.0", 3, "networks.public", "CIDR", "Add the prefix length")]
    [InlineData("redundancy: cold", "redundancy: cold\n    redundancy: hot", 19, "services.jobs.redundancy", "given twice, first on line 18", "Keep one")]
    [InlineData("redundancy: cold", "mounts: data\n    redundancy: cold", 18, "services.jobs.mounts", "VOLUME:/PATH", "Write")]
    [InlineData("redundancy: cold", "mounts: \"data:/srv/data\"\n    redundancy: cold", 18, "services.jobs.mounts", "no volume 'data'", "")]
    [InlineData("role: witness }", "role: witness, colour: red }", 8, "nodes.n3.colour", "unknown key", "Known here: capacity")]
    // The parts against each other.
    [InlineData("[10.10.0.0/24]", "[203.0.113.0/24]", 3, "networks.private", "also networks.public", "network of their own")]
    [InlineData("[10.10.0.0/24]", "[203.0.113.128/25]", 3, "networks.private", "overlaps networks.public", "network of their own")]
    [InlineData("private: [10.10.0.12]", "private: [10.10.0.11]", 7, "nodes.n2.private", "also nodes.n1.private", "its own address")]
    [InlineData("private: [10.10.0.12]", "private: [10.11.0.12]", 7, "nodes.n2.private", "not in the private network", "10.10.0.0/24")]
    [InlineData("private: [10.10.0.12]", "private: [10.10.0.255]", 7, "nodes.n2.private", "broadcast", "host address")]
    [InlineData("private: [10.10.0.12]", "private: [10.10.0.12, 10.10.0.14]", 7, "nodes.n2.private", "2 private addresses for 1", "one address for each")]
    [InlineData("front: 203.0.113.10 ", "front: 203.0.113.11 ", 4, "vips.front", "also nodes.n1.public", "no node has")]
    [InlineData("front: 203.0.113.10 ", "front: 198.51.100.1 ", 4, "vips.front", "not in the public network", "203.0.113.0/24")]
    [InlineData("public: 203.0.113.12", "public: 198.51.100.12", 7, "nodes.n2.public", "not in the public network", "203.0.113.0/24")]
    [InlineData("public: 203.0.113.12", "public: [203.0.113.12, 198.51.100.12]", 7, "nodes.n2.public[1]", "not in the public network", "203.0.113.0/24")]
    [InlineData("public: 203.0.113.0/24", "public: [203.0.113.0/24, 203.0.113.0/25]", 3, "networks.public[1]", "overlaps networks.public[0]", "Give it once")]
    [InlineData("  n3: { private: [10.10.0.13], role: witness }\n", "", 5, "nodes", "without a witness or fencing", "role: witness")]
    [InlineData("role: witness }", "role: witness, votes: false }", 8, "nodes.n3.votes", "does nothing at all", "Remove")]
    [InlineData("vip: front", "vip: frnt", 14, "services.web.publish[0].vip", "no virtual IP 'frnt'", "Did you mean 'front'?")]
    [InlineData("depends_on: [web]", "depends_on: [wbe]", 19, "services.jobs.depends_on", "no service 'wbe'", "Did you mean 'web'?")]
    [InlineData("depends_on: [web]", "placement: { prefer: [n9] }", 19, "services.jobs.placement.prefer", "no node 'n9'", "Did you mean")]
    [InlineData("objectives: {", "depends_on: [jobs]\n    objectives: {", 20, "services.jobs.depends_on", "jobs → web → jobs", "Remove one")]
    [InlineData("timeout: 100ms", "timeout: 200ms", 13, "services.web.health.timeout", "may take 200ms", "at most 100ms")]
    [InlineData("redundancy: hot", "redundancy: hot\n    instances: 3", 13, "services.web.instances", "only 2 nodes", "at most 2")]
    [InlineData("redundancy: cold", "redundancy: warm", 17, "services.jobs.process", "'promote'", "Add")]
    [InlineData("redundancy: cold", "redundancy: cold\n    activity: spread", 19, "services.jobs.activity", "one active instance", "hot")]
    [InlineData("{private}:5000", "{private}", 10, "services.web", "on which port", "{private}:PORT")]
    [InlineData("command: [./jobs]", "command: [./jobs, \"{private}:5000\"]", 16, "services.jobs", "'web' listens on port 5000", "Choose another port")]
    [InlineData("redundancy: hot", "redundancy: hot\n    needs: { cpu: 1 }\n    placement: { with: [ghost] }", 14, "services.web.placement.with", "no service 'ghost'", "Known here")]
    public void Parse_AMistake_IsFoundAtItsPlaceWithItsMend(string good, string bad, int line, string path, string message, string mend)
    {
        var result = ClusterFile.Parse(Examples.Spoil(good, bad));
        Assert.Null(result.Spec);
        Assert.Contains(result.Diagnostics, found => found.Severity == Severity.Error && found.Line == line && found.Path.StartsWith(path, StringComparison.Ordinal)
            && found.Message.Contains(message, StringComparison.Ordinal) && found.Mend.Contains(mend, StringComparison.Ordinal));
    }

    [Fact]
    public void Parse_ManyMistakes_ReportsEachOfThemAtOnce()
    {
        var text = Examples.Spoil("redundancy: hot", "redundancy: hto").Replace("timeout: 100ms", "timeout: soon", StringComparison.Ordinal)
            .Replace("vip: front", "vip: back", StringComparison.Ordinal).Replace("203.0.113.12", "198.51.100.12", StringComparison.Ordinal);
        Assert.Equal([7, 12, 13, 14], ClusterFile.Parse(text).Diagnostics.Where(found => found.Severity == Severity.Error).Select(found => found.Line));
    }

    [Fact]
    public void Parse_TwoDoorsOnOnePort_NamesTheServiceThatHasIt()
    {
        var text = Examples.Spoil("depends_on: [web]", "port: 5001\n    publish: { vip: front, port: 80, protocol: http }");
        var found = Assert.Single(ClusterFile.Parse(text).Diagnostics, found => found.Severity == Severity.Error);
        Assert.Equal(("services.jobs.publish[0].port", "port 80 of 'front' is already published by 'web'"), (found.Path, found.Message));
    }

    [Fact]
    public void Parse_MoreNeededThanAnyNodeHas_SaysWhatIsLacking()
    {
        var text = Examples.Web.Replace("10.10.0.11]", "10.10.0.11], capacity: { cpu: 4 }", StringComparison.Ordinal)
            .Replace("10.10.0.12]", "10.10.0.12], capacity: { cpu: 2 }", StringComparison.Ordinal)
            .Replace("redundancy: hot", "redundancy: hot\n    needs: { cpu: 3 }", StringComparison.Ordinal);
        Assert.Contains(ClusterFile.Parse(text).Diagnostics, found => found.Path == "services.web.needs.cpu" && found.Message.Contains("only 1 nodes have that", StringComparison.Ordinal));
    }

    [Fact]
    public void Parse_TwoNodesThatCanFenceEachOther_NeedNoWitness_ButAreToldThatOneAloneHasNoMajority()
    {
        var text = Examples.Spoil("  n3: { private: [10.10.0.13], role: witness }\n", "")
            .Replace("private: [10.10.0.12] }", "private: [10.10.0.12], fence: { agent: fence_ipmilan } }", StringComparison.Ordinal);
        var result = ClusterFile.Parse(text);
        Assert.NotNull(result.Spec);
        Assert.Contains(result.Diagnostics, found => found.Path == "nodes" && found is { Severity: Severity.Warning } && found.Message.Contains("has no majority", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("", "the file is empty")]
    [InlineData("# nothing\n", "the file is empty")]
    [InlineData("just text", "a map of keys expected")]
    [InlineData("version: 1\n  cluster: x\n", "not valid YAML")]
    [InlineData("a: *nowhere\n", "not defined before it")]
    [InlineData("version: 1\n---\nversion: 1\n", "a second document")]
    public void Parse_WhatIsNoClusterFile_SaysSo(string text, string message) =>
        Assert.Contains(ClusterFile.Parse(text).Diagnostics, found => found.Message.Contains(message, StringComparison.Ordinal));

    [Fact]
    public void Parse_NestingWithoutEnd_IsRefusedNotFollowed() =>
        Assert.Contains("32 levels", Assert.Single(ClusterFile.Parse("a: " + new string('[', 5000)).Diagnostics).Message, StringComparison.Ordinal);

    [Fact]
    public void Parse_AnySpoiltExample_NeverThrowsAndAlwaysSaysWhy()
    {
        // Every line left out, every line cut in half, every character class swapped: a spec or a reason, never an exception.
        var lines = Examples.Web.Split('\n');
        for (var i = 0; i < lines.Length; i++)
            foreach (var replacement in new string?[] { null, lines[i][..(lines[i].Length / 2)], lines[i].Replace(':', '['), lines[i].Replace('{', '"'), lines[i] + " }", lines[i].Replace("10", "-1", StringComparison.Ordinal) })
            {
                var result = ClusterFile.Parse(string.Join('\n', lines.Take(i).Concat(replacement is null ? [] : [replacement]).Concat(lines.Skip(i + 1))));
                Assert.Equal(result.Spec is null, result.Diagnostics.Any(found => found.Severity == Severity.Error));
                Assert.All(result.Diagnostics, found => Assert.InRange(found.Line, 1, lines.Length + 1));
            }
    }
}
