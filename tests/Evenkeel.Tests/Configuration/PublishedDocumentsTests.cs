using Evenkeel.Agent.Configuration.Keys;
using Xunit;

namespace Evenkeel.Tests.Configuration;

/// <summary>What docs/ publishes about the file's format is what this version understands.</summary>
public sealed class PublishedDocumentsTests
{
    [Fact]
    public void Schema_AsPublished_IsCurrent() =>
        Assert.True(Published("cluster.schema.json") == JsonSchema.Text() + "\n", "docs/cluster.schema.json is old: ./evenkeel config schema > docs/cluster.schema.json");

    [Fact]
    public void Manual_AsPublished_IsCurrent() =>
        Assert.True(Published("configuration.md") == ConfigurationManual.Text(), "docs/configuration.md is old: ./evenkeel config reference > docs/configuration.md");

    private static string Published(string name) => File.ReadAllText(Path.Combine(Repository.Root, "docs", name));
}
