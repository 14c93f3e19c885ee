using System.Globalization;

namespace Evenkeel.RaidBench;

/// <summary>min/median/max of all rounds, a row for each measure and system; the ratio of medians to the row's first peer. Markdown.</summary>
internal sealed class Table
{
    private readonly Dictionary<string, List<string>> _rows = [];
    private readonly Dictionary<(string Row, string System), List<double>> _cells = [];

    public void Add(string row, string system, double value)
    {
        if (!_rows.TryGetValue(row, out var systems)) _rows[row] = systems = [];
        if (!systems.Contains(system)) systems.Add(system);
        if (!_cells.TryGetValue((row, system), out var values)) _cells[(row, system)] = values = [];
        values.Add(value);
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{row}, {system}: {value:0.###}"));
    }

    public void Print()
    {
        Console.WriteLine("| what | system | min/median/max | Evenkeel's ratio to it |");
        Console.WriteLine("| --- | --- | --- | --- |");
        foreach (var (row, systems) in _rows)
        {
            var own = Median(_cells[(row, "Evenkeel")]);
            foreach (var system in systems.OrderBy(name => name != "Evenkeel"))
            {
                var values = _cells[(row, system)];
                var ratio = system == "Evenkeel" ? "" : string.Create(CultureInfo.InvariantCulture, $"{own / Median(values):0.00}");
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture, $"| {(system == "Evenkeel" ? row : "")} | {system} | {Show(values.Min())}/{Show(Median(values))}/{Show(values.Max())} | {ratio} |"));
            }
        }
    }

    private static double Median(List<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private static string Show(double value) => value.ToString(value >= 100 ? "0" : value >= 10 ? "0.0" : "0.00", CultureInfo.InvariantCulture);
}
