using Evenkeel.Backup;
using Evenkeel.Backup.Postgres;
using Xunit;

namespace Evenkeel.Tests.Backup;

public sealed class TablespaceMapTests
{
    [Fact]
    public void Parse_AsPostgresWritesIt_BackslashesStandBeforeWhatBelongsToALocation()
    {
        var entries = TablespaceMap.Parse("16385 /srv/fast disk\n16390 /srv/two\\\nlines\\\\\n");
        Assert.Equal([("16385", "/srv/fast disk"), ("16390", "/srv/two\nlines\\")], entries);
    }

    [Theory, InlineData("/a"), InlineData("/with space"), InlineData("/back\\slash"), InlineData("/two\nlines"), InlineData("/a\r\\\n")]
    public void WhatIsWritten_IsReadAsItWas(string location) =>
        Assert.Equal([("1", location), ("2", "/b")], TablespaceMap.Parse(TablespaceMap.Write([("1", location), ("2", "/b")])));

    [Theory, InlineData("16385\n"), InlineData("16385 relative\n"), InlineData("x /srv\n"), InlineData(" /srv\n")]
    public void Parse_ALineThatNamesNone_IsRefused(string text) =>
        Assert.Contains("names no tablespace", Assert.Throws<RepositoryException>(() => TablespaceMap.Parse(text)).Message, StringComparison.Ordinal);
}
