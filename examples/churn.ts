// A made-up table of customers, as such tables are: gaps, categories, and a rule behind it that is not a straight line.
import { writeFileSync } from 'node:fs'
import { generator } from './demo/random.js'

const PLANS = ['basic', 'plus', 'premium'] as const
const REGIONS = ['north', 'south', 'east', 'west'] as const

/** Writes a CSV with `rows` customers; the column `left` is yes or no. About one value in fifteen is missing. */
export function writeCustomers(path: string, rows: number): void {
  const random = generator(5)
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const lines = Array.from({ length: rows }, () => {
    const [age, months, calls] = [45 + 15 * normal(), 60 * random() ** 2, Math.floor(6 * random() ** 2)]
    const [plan, region] = [pick(PLANS), pick(REGIONS)]
    const price = 20 + 25 * PLANS.indexOf(plan) + 6 * normal()
    // The unhappy call often; the long-standing stay whatever happens, unless the price is high for what they are used to.
    const tired = 1.1 * (calls - 2) * Math.exp(-months / 30) + 0.06 * (price - 45) * (age < 35 ? 1.5 : -0.3)
    const left = random() < 1 / (1 + Math.exp(0.8 - tired - (region === 'west' ? 0.8 : 0)))
    const gap = (value: string, share: number): string => (random() < share ? '' : value)
    return [
      gap(age.toFixed(0), 0.12),
      months.toFixed(0),
      gap(price.toFixed(2), 0.06),
      calls,
      gap(plan, 0.05),
      region,
      left ? 'yes' : 'no',
    ]
  })
  writeFileSync(path, `age,months,price,calls,plan,region,left\n${lines.map((line) => line.join(',')).join('\n')}\n`)
}
