using Evenkeel.EndToEnd;
using Xunit;
using Xunit.Sdk;
using Xunit.v3;

[assembly: TestCollectionOrderer(typeof(LongestFirst))]

namespace Evenkeel.EndToEnd;

/// <summary>Of the classes that run side by side those that take half a minute or more begin first: else one of them runs on alone at the end.</summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    private static readonly Type[] longest =
    [
        typeof(Lab.PreflightTests), typeof(Backup.CommandTests), typeof(Backup.FaultTests), typeof(Backup.ServerTests), typeof(Backup.ProofTests),
        typeof(Lab.EveryPortTests), typeof(Ocf.StockMatrixTests), typeof(Backup.SourceTests), typeof(PostgreSql.DriverTests), typeof(Store.EtcdGrowthTests),
    ];

    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : ITestCollection =>
        [.. testCollections.OrderBy(collection => RankOf(collection.TestCollectionDisplayName))];

    // A class without a collection of its own has one that is named after it.
    private static int RankOf(string collection) =>
        System.Array.FindIndex(longest, type => collection.Contains($" {type.FullName} ", StringComparison.Ordinal)) is var rank and >= 0 ? rank : longest.Length;
}
