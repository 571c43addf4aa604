use rand::SeedableRng;
use rand::rngs::StdRng;
use super::*;
use num_bigint::BigUint;
#[test]
fn smoke() {
    let mut r = StdRng::seed_from_u64(1);
    for bits in [256, 512, 768, 2048] {
        let t = std::time::Instant::now();
        let key = PrivateKey::generate_small(&mut r, bits);
        println!("{bits} gen {:?}", t.elapsed());
        let p = key.public_key();
        let t = std::time::Instant::now();
        assert!(PublicKey::from_bytes_small(&p.to_bytes()).unwrap() == *p);
        println!("check {:?}", t.elapsed());
        let t = std::time::Instant::now();
        let mut e = Encryptor::new(p.clone(), 100, 10);
        println!("table {:?}", t.elapsed());
        let a = Plaintext::new(BigUint::from(5u32), p).unwrap();
        let t = std::time::Instant::now();
        let c = e.encrypt(&mut r, &a);
        println!("enc {:?}", t.elapsed());
        let t = std::time::Instant::now();
        assert_eq!(key.decrypt(&c).unwrap().value(), a.value());
        println!("dec {:?}", t.elapsed());
        let d = e.encrypt(&mut r, &a);
        let s = p.sum(&[&[c.clone()], &[d.clone()], &[d.clone()]]).unwrap();
        assert_eq!(*key.decrypt(&s[0]).unwrap().value(), BigUint::from(15u32));
        assert!(p.parse(&[c.to_bytes(p), d.to_bytes(p)].concat(), 2).unwrap() == vec![c, d]);
    }
}
